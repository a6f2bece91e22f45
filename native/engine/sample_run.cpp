#include "engine/sample_run.h"

#include <algorithm>
#include <limits>

#include "base/fp_environment.h"
#include "base/xxh64.h"
#include "engine/guided_denoiser.h"
#include "engine/layout.h"
#include "engine/sample_start.h"
#include "sampling/batch_noise.h"

namespace sdgen {
namespace {

/// Smallest sigma above 0 and largest of a schedule: the interval of the Brownian tree.
std::pair<double, double> noisy_interval(const SampleRequest& request) {
  if (request.noise_high > 0) return {request.noise_low, request.noise_high};
  const std::vector<float>& sigmas = request.sigmas;
  float low = std::numeric_limits<float>::max(), high = 0;
  for (const float sigma : sigmas) {
    if (sigma > 0) low = std::min(low, sigma);
    high = std::max(high, sigma);
  }
  return {static_cast<double>(low), static_cast<double>(high)};
}

std::vector<uint64_t> hash_images(const Latent& latents) {
  std::vector<uint64_t> hashes;
  const auto each = static_cast<size_t>(latents.channels * latents.height * latents.width);
  for (size_t at = 0; at < latents.data.size(); at += each) hashes.push_back(xxh64(&latents.data[at], each * sizeof(float)));
  return hashes;
}

}  // namespace

Latent run_sample(ModelRunner& runner, const ModelConfig& config, const SampleRequest& request, const RunControl& control,
                  const std::function<void(const StepEvent&)>& on_step) {
  const FpEnvironment environment;
  const auto images = static_cast<int64_t>(request.seeds.size());
  const int64_t channels = config.vae.latent_channels, pixels = request.latent_height * request.latent_width;
  GuidedDenoiser denoiser(runner, config, request, control);
  BatchNoise noise({request.noise_source, request.seeds, request.subseeds, request.subseed_strength, request.resize_width,
                    request.resize_height, request.later_seeds},
                   channels, request.latent_height, request.latent_width);
  Vectors vectors(runner.backend(), images * channels * pixels);
  const Sampler& sampler = *find_sampler(request.sampler);

  const Vec x = vectors.make();
  const std::optional<KeptLatent> kept = start_sample(request, denoiser.trained(), channels, vectors, noise, x);
  if (kept) denoiser.keep(&*kept);

  if (const SampleHooks hooks(request, control, runner.backend(), channels); hooks.wants(Hook::kExtraNoise)) {
    hooks.show({Hook::kExtraNoise, 0, 0, static_cast<double>(request.sigmas[0]), {}}, {vectors.view(x)});
  }

  const auto fetch = [&](Vec v) {
    std::vector<float> nhwc(static_cast<size_t>(vectors.count()));
    vectors.download(v, nhwc.data());
    Latent latent{std::vector<float>(nhwc.size()), images, channels, request.latent_height, request.latent_width};
    nhwc_to_nchw(nhwc.data(), latent.data.data(), images, channels, pixels);
    return latent;
  };
  // Fetched at once and only where a step's event shall carry it: the sampler may write over it. A step may count for
  // several of those that are reported.
  std::shared_ptr<const Latent> preview;
  int done = 0, shown = 0;
  const auto is_due = [&] { return request.preview_every > 0 && done + 1 - shown >= request.preview_every; };
  const Vec clean = request.preview_every > 0 ? vectors.make() : Vec{};

  SamplerRun run{vectors, x, request.sigmas, request.timesteps, denoiser.trained(), request.options};
  run.denoise = [&](Vec out, Vec at, double sigma) {
    denoiser.denoise(vectors.view(out), vectors.view(at), sigma);
    if (is_due()) preview = std::make_shared<const Latent>(fetch(out));
  };
  run.predict = [&](Vec out, Vec at, double t) {
    denoiser.predict(vectors.view(out), vectors.view(at), t);
    if (!is_due()) return;
    const VpPoint p = denoiser.trained().point(t);
    vectors.lincomb(clean, {{1 / p.alpha, at}, {-p.sigma / p.alpha, out}});
    preview = std::make_shared<const Latent>(fetch(clean));
  };
  run.uncond = [&](Vec out) { denoiser.uncond(vectors.view(out)); };
  run.noise = [&](Vec out) { vectors.upload(out, noise.next()); };
  if (kept) run.keep = [&](Vec clean_x) { kept->blend(vectors.view(clean_x)); };
  run.brownian = [&, interval = noisy_interval(request)](Vec out, double sigma, double next) {
    vectors.upload(out, noise.brownian(sigma, next, interval.first, interval.second));
  };
  run.report = [&](int step, int of, double sigma) {
    done = step;
    if (preview) shown = done;
    denoiser.at_step(done);
    // After the last step x is fetched for the result: hashed there.
    if (control.trail && done < of) control.trail->push_back({done, hash_images(fetch(x))});
    if (on_step) on_step({done, of, denoiser.evaluations(), static_cast<float>(sigma), std::move(preview)});
    preview.reset();
  };
  if (control.trail) control.trail->push_back({0, hash_images(fetch(x))});
  sampler.run(run);
  if (kept) kept->blend(vectors.view(x));
  // The last step's result meets no further evaluation that would notice.
  if (!runner.backend().all_finite(vectors.view(x))) {
    throw Error(ErrorCode::kNonFinite, "the sampler '" + request.sampler +
                                           "' ended in a value that is not a finite number; a smaller cfgScale may help");
  }
  Latent result = fetch(x);
  if (control.trail) control.trail->push_back({done, hash_images(result)});
  return result;
}

}  // namespace sdgen
