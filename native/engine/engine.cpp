#include "engine/engine.h"

#include <algorithm>
#include <cmath>

#include "backends/registry.h"
#include "base/cpu_info.h"
#include "base/fp_environment.h"
#include "engine/describe.h"
#include "engine/layout.h"
#include "engine/model_runner.h"
#include "engine/request_check.h"
#include "engine/sample_run.h"
#include "engine/text_run.h"
#include "engine/weights_check.h"
#include "models/clip.h"
#include "models/unet.h"
#include "models/vae.h"

namespace sdgen {
namespace {

class ModelEngine : public Engine {
 public:
  ModelEngine(ModelConfig config, PartWeights weights, ModelDescription description, ModelRunner runner)
      : config_(std::move(config)), weights_(std::move(weights)), description_(std::move(description)), runner_(std::move(runner)) {}

  const ModelDescription& describe() const noexcept override { return description_; }

  Estimate estimate(const EstimateRequest& request) const override {
    check_latent_size(request.latent_width, request.latent_height, request.batch);
    if (request.cond_tokens < 1 || request.uncond_tokens < 1) throw Error(ErrorCode::kInvalidArgument, "tokens: at least 1 is needed");
    const bool together = request.use_uncond && request.cond_tokens == request.uncond_tokens;
    const int64_t chunks = (std::max(request.cond_tokens, request.uncond_tokens) + config_.text.positions - 1) / config_.text.positions;
    const StageMemory text = memory_of(runner_.stages(build_clip_text(config_.text, std::min(chunks, kWindowsAtOnce), 1)));
    const UnetShape shape{request.batch * (together ? 2 : 1), request.latent_height, request.latent_width,
                          std::max(request.cond_tokens, request.uncond_tokens)};
    const StageMemory unet = memory_of(runner_.stages(build_unet(config_.unet, shape)));
    const StageMemory vae = memory_of(runner_.stages(build_vae_decoder(config_.vae, 1, request.latent_height, request.latent_width)));
    const auto part = [&](const StageMemory& memory, const std::vector<WeightUse>& uses) {
      return PartEstimate{runner_.packed_bytes(uses), static_cast<uint64_t>(memory.arena_bytes), static_cast<uint64_t>(memory.live_bytes),
                          memory.flops};
    };
    Estimate e;
    e.text = part(text, weights_.text);
    e.unet = part(unet, weights_.unet);
    e.vae = part(vae, weights_.vae);
    e.weight_bytes = e.text.weight_bytes + e.unet.weight_bytes + e.vae.weight_bytes;
    e.arena_bytes = std::max({e.text.arena_bytes, e.unet.arena_bytes, e.vae.arena_bytes});
    e.peak_bytes = e.weight_bytes + e.arena_bytes + static_cast<uint64_t>(std::max(unet.bound_bytes, vae.bound_bytes));
    return e;
  }

  void load(const RunControl& control, const std::function<void(uint64_t, uint64_t)>& on_progress) override {
    runner_.prepare(weights_.all(), control.cancel, on_progress);
  }

  std::vector<std::vector<Conditioning>> encode_text(const TextRequest& request, const RunControl& control) override {
    check_texts(request, description_);
    return run_text(runner_, config_.text, request, control);
  }

  Latent sample(const SampleRequest& request, const RunControl& control, const std::function<void(const StepEvent&)>& on_step) override {
    check_sample(request, description_);
    return run_sample(runner_, config_, request, control, on_step);
  }

  std::vector<Image> decode(const Latent& latent, const RunControl& control, const std::function<void(int)>& on_image) override {
    check_latent(latent, description_);
    const FpEnvironment environment;
    LoadedProgram program = runner_.load(build_vae_decoder(config_.vae, 1, latent.height, latent.width), control.cancel);
    const int64_t each = latent.channels * latent.height * latent.width;
    std::vector<float> nhwc(static_cast<size_t>(each));
    std::vector<Image> images;
    for (int64_t i = 0; i < latent.batch; ++i) {
      nchw_to_nhwc(latent.data.data() + i * each, nhwc.data(), 1, latent.channels, latent.height * latent.width);
      program.upload("z", nhwc.data(), each * 4);
      runner_.run(program, control);
      const VectorView out = program.vector("vae.decoded");
      if (!runner_.backend().all_finite(out)) {
        throw Error(ErrorCode::kNonFinite, "the VAE gave a value that is not a finite number for image " + std::to_string(i + 1));
      }
      const int64_t scale = description_.latent_scale;
      Image image{std::vector<uint8_t>(static_cast<size_t>(out.count)), latent.width * scale, latent.height * scale};
      runner_.backend().to_rgb8(out, image.rgb.data());
      images.push_back(std::move(image));
      if (on_image) on_image(static_cast<int>(i) + 1);
    }
    return images;
  }

 private:
  ModelConfig config_;
  PartWeights weights_;
  ModelDescription description_;
  ModelRunner runner_;
};

}  // namespace

std::unique_ptr<Engine> Engine::open(const OpenOptions& options) {
  check_device(options.device, options.precision);
  if (options.threads < 0 || options.threads > 1024) throw Error(ErrorCode::kInvalidArgument, "threads: must be 0 (one a core) to 1024");
  std::shared_ptr<const WeightStore> store = open_safetensors(options.path);
  IdentifiedModel model = identify(*store);
  const ModelConfig config = model.family->read_config(model.index, store->metadata(), options.overrides);
  PartWeights weights = part_weights(config);
  check_weights(weights.all(), model.index, options.path);
  ModelDescription description = describe_model(*store, model, config, weights);
  std::unique_ptr<Backend> backend =
      make_backend(options.device, {options.threads == 0 ? physical_cores() : options.threads, options.precision});
  return std::make_unique<ModelEngine>(config, std::move(weights), std::move(description),
                                       ModelRunner(store, std::move(model.index), std::move(backend)));
}

std::vector<std::string> sampler_ids() {
  std::vector<std::string> ids;
  for (const Sampler& sampler : samplers()) ids.emplace_back(sampler.id);
  return ids;
}

std::vector<std::string> family_ids() {
  std::vector<std::string> ids;
  for (const Family& family : families()) ids.emplace_back(family.id);
  return ids;
}

std::vector<DeviceInfo> device_infos() {
  std::vector<DeviceInfo> devices;
  for (BackendInfo& info : backend_infos()) {
    devices.push_back({std::move(info.name), std::move(info.description), std::move(info.isa), std::move(info.precisions),
                       std::move(info.missing)});
  }
  return devices;
}

const char* engine_version() noexcept { return SDGEN_VERSION; }

}  // namespace sdgen
