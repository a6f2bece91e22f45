#include "engine/sample_start.h"

#include <cmath>

#include "base/math.h"
#include "engine/layout.h"

namespace sdgen {
namespace {

/// What the start's noise is multiplied by in a run that begins with noise alone.
double noise_scale(const SampleRequest& request, Walk walk) {
  if (walk == Walk::kTimesteps) return 1;
  const auto sigma = static_cast<double>(request.sigmas[0]);
  return request.start_with_signal ? std::sqrt(1 + sigma * sigma) : sigma;
}

/// The start's latent for every image, [images, height, width, channels].
std::vector<float> latent_of(const SampleRequest& request, int64_t channels) {
  const Latent& latent = request.start->latent;
  const int64_t pixels = request.latent_height * request.latent_width, each = channels * pixels;
  const auto images = static_cast<int64_t>(request.seeds.size());
  std::vector<float> nhwc(static_cast<size_t>(images * each));
  for (int64_t i = 0; i < images; ++i) {
    const int64_t from = latent.batch == 1 ? 0 : i * each;
    nchw_to_nhwc(latent.data.data() + from, nhwc.data() + i * each, 1, channels, pixels);
  }
  return nhwc;
}

/// The mask of every value, [images, height, width, channels].
std::vector<float> weights_of(const SampleRequest& request, int64_t channels) {
  std::vector<float> weights;
  weights.reserve(request.seeds.size() * request.start->mask.size() * static_cast<size_t>(channels));
  for (size_t image = 0; image < request.seeds.size(); ++image) {
    for (const float weight : request.start->mask) weights.insert(weights.end(), static_cast<size_t>(channels), weight);
  }
  return weights;
}

/// latent·(1 - mask) + noise·mask, the noise being the first draw of each image's seed, or zeros.
void fill_masked(const SampleRequest& request, int64_t channels, const std::vector<float>& weights, std::vector<float>& latent) {
  if (request.start->fill == MaskFill::kKeep) return;
  BatchNoise streams({request.noise_source, request.seeds}, channels, request.latent_height, request.latent_width);
  const float* noise = request.start->fill == MaskFill::kNoise ? streams.start() : nullptr;
  for (size_t i = 0; i < latent.size(); ++i) {
    const float kept = latent[i] * (1.0f - weights[i]);
    latent[i] = noise == nullptr ? kept : math::fma(noise[i], weights[i], kept);
  }
}

}  // namespace

KeptLatent::KeptLatent(Vectors& vectors, const std::vector<float>& latent, const std::vector<float>& mask)
    : vectors_(&vectors), weight_(vectors.make()), kept_(vectors.make()) {
  std::vector<float> kept(latent.size());
  for (size_t i = 0; i < kept.size(); ++i) kept[i] = latent[i] * (1.0f - mask[i]);
  vectors.upload(weight_, mask.data());
  vectors.upload(kept_, kept.data());
}

std::optional<KeptLatent> start_sample(const SampleRequest& request, const TrainedSigmas& trained, int64_t channels, Vectors& vectors,
                                       BatchNoise& noise, Vec x) {
  const Walk walk = find_sampler(request.sampler)->walk;
  vectors.upload(x, noise.start());
  if (!request.start) {
    vectors.lincomb(x, {{noise_scale(request, walk), x}});
    return std::nullopt;
  }
  const StartLatent& start = *request.start;
  std::vector<float> latent = latent_of(request, channels);
  const std::vector<float> weights = weights_of(request, channels);
  if (!weights.empty()) fill_masked(request, channels, weights, latent);

  const Vec given = vectors.make();
  vectors.upload(given, latent.data());
  const VpPoint at = walk == Walk::kTimesteps ? trained.point(start.timestep) : VpPoint{1, static_cast<double>(request.sigmas[0])};
  if (start.noise_multiplier != 1) vectors.lincomb(x, {{start.noise_multiplier, x}});
  std::vector<Term> terms{{at.alpha, given}, {at.sigma, x}};
  if (start.extra_noise > 0) terms.push_back({start.extra_noise * at.alpha, x});
  vectors.lincomb(x, terms);
  if (weights.empty()) return std::nullopt;
  return KeptLatent(vectors, latent, weights);
}

}  // namespace sdgen
