#include "engine/sample_run.h"

#include "base/fp_environment.h"
#include "engine/guided_denoiser.h"
#include "engine/layout.h"

namespace sdgen {
namespace {

/// The noise of a whole batch: image i draws from its own stream, in NCHW order, handed on as NHWC.
class BatchNoise {
 public:
  BatchNoise(const SampleRequest& request, int64_t channels)
      : channels_(channels), pixels_(request.latent_height * request.latent_width) {
    for (uint64_t seed : request.seeds) streams_.push_back(make_noise_stream(request.noise_source, seed));
    drawn_.resize(static_cast<size_t>(channels_ * pixels_) * streams_.size());
    ordered_.resize(drawn_.size());
  }
  const float* draw() {
    const auto each = static_cast<size_t>(channels_ * pixels_);
    for (size_t i = 0; i < streams_.size(); ++i) streams_[i]->randn(drawn_.data() + i * each, each);
    nchw_to_nhwc(drawn_.data(), ordered_.data(), static_cast<int64_t>(streams_.size()), channels_, pixels_);
    return ordered_.data();
  }

 private:
  int64_t channels_, pixels_;
  std::vector<std::unique_ptr<NoiseStream>> streams_;
  std::vector<float> drawn_, ordered_;
};

}  // namespace

Latent run_sample(ModelRunner& runner, const ModelConfig& config, const SampleRequest& request, const RunControl& control,
                  const std::function<void(const StepEvent&)>& on_step) {
  const FpEnvironment environment;
  const auto images = static_cast<int64_t>(request.seeds.size());
  const int64_t channels = config.vae.latent_channels, pixels = request.latent_height * request.latent_width;
  GuidedDenoiser denoiser(runner, config, request, control);
  BatchNoise noise(request, channels);
  Vectors vectors(runner.backend(), images * channels * pixels);

  const Vec x = vectors.make();
  vectors.upload(x, noise.draw());
  vectors.lincomb(x, {{static_cast<double>(request.sigmas[0]), x}});

  const auto fetch = [&](Vec v) {
    std::vector<float> nhwc(static_cast<size_t>(vectors.count()));
    vectors.download(v, nhwc.data());
    Latent latent{std::vector<float>(nhwc.size()), images, channels, request.latent_height, request.latent_width};
    nhwc_to_nchw(nhwc.data(), latent.data.data(), images, channels, pixels);
    return latent;
  };
  // Fetched at once and only where a step's event shall carry it: the sampler may write over it.
  std::shared_ptr<const Latent> preview;
  int done = 0;

  SamplerRun run{vectors, x, request.sigmas, request.options, {}, {}, {}};
  run.denoise = [&](Vec out, Vec at, double sigma) {
    denoiser.denoise(vectors.view(out), vectors.view(at), sigma);
    if (request.preview_every > 0 && (done + 1) % request.preview_every == 0) preview = std::make_shared<const Latent>(fetch(out));
  };
  run.noise = [&](Vec out) { vectors.upload(out, noise.draw()); };
  run.done = [&](int step) {
    done = step + 1;
    denoiser.at_step(done);
    if (on_step) on_step({done, run.steps(), denoiser.evaluations(), request.sigmas[static_cast<size_t>(step)], std::move(preview)});
  };
  find_sampler(request.sampler)->run(run);
  // The last step's result meets no further evaluation that would notice.
  if (!runner.backend().all_finite(vectors.view(x))) {
    throw Error(ErrorCode::kNonFinite, "the sampler '" + request.sampler +
                                           "' ended in a value that is not a finite number; a smaller cfgScale may help");
  }
  return fetch(x);
}

}  // namespace sdgen
