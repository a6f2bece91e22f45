#include "engine/sample_run.h"

#include <optional>

#include "base/fp_environment.h"
#include "engine/layout.h"
#include "models/unet.h"
#include "sampling/denoiser.h"

namespace sdgen {
namespace {

/// Evaluates cond and uncond: as one batch when their lengths agree, else one after the other. The same bytes either way.
class GuidedDenoiser {
 public:
  GuidedDenoiser(ModelRunner& runner, const ModelConfig& config, const SampleRequest& request, const RunControl& control)
      : runner_(runner), prediction_(config.prediction_type.value), control_(control), cfg_(static_cast<float>(request.cfg_scale)),
        images_(static_cast<int64_t>(request.seeds.size())) {
    const bool guided = request.cfg_scale != 1;
    const bool together = guided && request.cond.tokens == request.uncond.tokens;
    cond_.emplace(load(config, request, together ? std::vector{&request.cond, &request.uncond} : std::vector{&request.cond}));
    if (guided && !together) uncond_.emplace(load(config, request, {&request.uncond}));
    count_ = images_ * request.latent_height * request.latent_width * config.unet.in_channels;
    const VectorView out = cond_->vector("unet.out");
    cond_out_ = out.slice(0, count_);
    if (guided) uncond_out_ = together ? out.slice(count_, count_) : uncond_->vector("unet.out");
  }

  void denoise(VectorView out, VectorView x, double sigma) {
    throw_if_cancelled(control_.cancel);
    const Scalings s = scalings(prediction_, sigma);
    const auto t = static_cast<float>(trained_.timestep(sigma));
    evaluate(*cond_, x, s, t);
    if (uncond_) evaluate(*uncond_, x, s, t);
    ++evaluations_;
    runner_.backend().guide(out, x, cond_out_, uncond_out_, static_cast<float>(s.c_skip), static_cast<float>(s.c_out), cfg_);
  }

  int64_t evaluations() const noexcept { return evaluations_; }
  void at_step(int step) noexcept { step_ = step; }

 private:
  LoadedProgram load(const ModelConfig& config, const SampleRequest& request, const std::vector<const Conditioning*>& conditionings) {
    const UnetShape shape{images_ * static_cast<int64_t>(conditionings.size()), request.latent_height, request.latent_width,
                          conditionings[0]->tokens};
    LoadedProgram program = runner_.load(build_unet(config.unet, shape), control_.cancel);
    std::vector<float> context;
    for (const Conditioning* conditioning : conditionings) {
      for (int64_t i = 0; i < images_; ++i) context.insert(context.end(), conditioning->data.begin(), conditioning->data.end());
    }
    program.upload("ctx", context.data(), static_cast<int64_t>(context.size() * sizeof(float)));
    return program;
  }

  void evaluate(LoadedProgram& program, VectorView x, const Scalings& s, float t) {
    Backend& backend = runner_.backend();
    const VectorView input = program.vector("x");
    const LincombTerm scaled{static_cast<float>(s.c_in), x};
    for (int64_t at = 0; at < input.count; at += count_) backend.lincomb(input.slice(at, count_), {&scaled, 1});
    const std::vector<float> timesteps(static_cast<size_t>(program.vector("t").count), t);
    program.upload("t", timesteps.data(), static_cast<int64_t>(timesteps.size() * sizeof(float)));
    runner_.run(program, control_);
    if (!backend.all_finite(program.vector("unet.out"))) {
      throw Error(ErrorCode::kNonFinite, "the UNet gave a value that is not a finite number at step " + std::to_string(step_ + 1) +
                                             " (timestep " + std::to_string(t) + ")");
    }
  }

  ModelRunner& runner_;
  PredictionType prediction_;
  RunControl control_;
  float cfg_;
  int64_t images_, count_ = 0, evaluations_ = 0;
  int step_ = 0;
  TrainedSigmas trained_;
  std::optional<LoadedProgram> cond_, uncond_;
  VectorView cond_out_, uncond_out_;
};

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
