#include "bench/picture.h"

#include <algorithm>
#include <cstdio>
#include <limits>

#include "base/error.h"
#include "base/xxh64.h"
#include "bench/clock.h"
#include "bench/made_weights.h"
#include "engine/decode_run.h"
#include "engine/sample_run.h"
#include "models/unet.h"
#include "models/vae.h"

namespace sdgen::bench {
namespace {

constexpr float kFirstSigma = 14.6146f, kLastSigma = 0.0292f;  // of SD 1.x' schedule

/// Evenly falling sigmas, the last one 0: their values do not change the work.
std::vector<float> falling_sigmas(int steps) {
  std::vector<float> sigmas;
  for (int i = 0; i < steps; ++i) {
    const float share = steps > 1 ? static_cast<float>(i) / static_cast<float>(steps - 1) : 0.0f;
    sigmas.push_back(kFirstSigma + (kLastSigma - kFirstSigma) * share);
  }
  sigmas.push_back(0.0f);
  return sigmas;
}

Conditioning made_text(const ModelConfig& config, float value) {
  Conditioning text;
  text.tokens = config.text.positions;
  text.width = config.unet.context_width;
  text.data.assign(static_cast<size_t>(text.tokens * text.width), value);
  text.pooled.assign(static_cast<size_t>(config.unet.pooled_width), value);
  return text;
}

std::string digest_of(const Image& image) {
  char text[17];
  std::snprintf(text, sizeof text, "%016llx", static_cast<unsigned long long>(xxh64(image.rgb.data(), image.rgb.size())));
  return text;
}

SampleRequest request_for(const ModelConfig& config, const PictureWork& work) {
  SampleRequest request;
  request.latent_width = work.width / config.vae.scale();
  request.latent_height = work.height / config.vae.scale();
  request.seeds = {1};
  request.sampler = "euler";
  request.sigmas = falling_sigmas(work.steps);
  request.conditionings = {made_text(config, 0.1f), made_text(config, -0.1f)};
  request.parts = {{1, {{work.steps, 0}}}};
  request.uncond = {{work.steps, 1}};
  return request;
}

}  // namespace

PartRow time_picture(std::unique_ptr<Backend> backend, const ModelConfig& given, const PictureWork& work, const std::string& precision,
                     const std::function<void(int)>& before_run) {
  ModelConfig config = given;
  if (config.noise.alphas_cumprod.empty()) config.noise.alphas_cumprod = alphas_of({});  // dimensions alone do not say it
  const SampleRequest request = request_for(config, work);
  const Program unet = build_unet(config.unet, {2, request.latent_height, request.latent_width, config.text.positions});
  const Program vae = build_vae_decoder(config.vae, 1, request.latent_height, request.latent_width);
  std::vector<WeightUse> uses = unet.weights;
  uses.insert(uses.end(), vae.weights.begin(), vae.weights.end());
  const std::shared_ptr<const WeightStore> store = make_weights(uses);
  ModelRunner runner(store, index_of(*store), std::move(backend));
  const uint64_t arena = static_cast<uint64_t>(std::max(runner.memory(unet).arena_bytes, runner.memory(vae).arena_bytes));
  PartRow row{"picture of " + std::to_string(work.steps) + " steps", precision, std::numeric_limits<double>::infinity(),
              work.steps * unet.flops + vae.flops, 0, runner.packed_bytes(uses), arena, {}};
  for (int run = 0; run <= work.repeat; ++run) {
    before_run(run);
    const double start = now();
    const Latent latent = run_sample(runner, config, request, {}, {});
    const std::vector<Image> images = run_decode(runner, {}, config.vae, {latent}, {}, {});
    const double seconds = now() - start;
    const std::string digest = digest_of(images.at(0));
    if (run > 0 && digest != row.digest) throw Error(ErrorCode::kInternal, "run " + std::to_string(run) + " of the same picture gave other pixels (" + precision + ")");
    row.digest = digest;
    if (run > 0) row.seconds = std::min(row.seconds, seconds);
  }
  return row;
}

}  // namespace sdgen::bench
