#include "engine/engine.h"

#include <algorithm>
#include <cmath>

#include "backends/registry.h"
#include "base/cpu_info.h"
#include "engine/decode_run.h"
#include "engine/describe.h"
#include "engine/encode_run.h"
#include "engine/model_runner.h"
#include "engine/open_model.h"
#include "engine/probe.h"
#include "engine/request_check.h"
#include "engine/sample_run.h"
#include "engine/text_run.h"
#include "engine/weights_check.h"
#include "models/clip.h"
#include "models/unet.h"
#include "models/vae.h"

namespace sdgen {
namespace {

std::unique_ptr<Backend> open_backend(const OpenOptions& options, const std::string& precision) {
  return make_backend(options.device, {options.threads == 0 ? physical_cores() : options.threads, precision});
}

class ModelEngine : public Engine {
 public:
  ModelEngine(OpenOptions options, ModelConfig config, PartWeights weights, ModelDescription description, ModelRunner runner)
      : options_(std::move(options)), config_(std::move(config)), weights_(std::move(weights)), description_(std::move(description)), runner_(std::move(runner)) {}

  const ModelDescription& describe() const noexcept override { return description_; }

  Estimate estimate(const EstimateRequest& request) const override {
    check_latent_size(request.latent_width, request.latent_height, request.batch);
    check_tiling(request.tiling);
    const bool encodes = request.encoded_width != 0 || request.encoded_height != 0;
    if (encodes) check_latent_size(request.encoded_width, request.encoded_height, 1);
    check_tiling(request.encoded_tiling);
    if (request.cond_tokens < 1 || request.uncond_tokens < 1) throw Error(ErrorCode::kInvalidArgument, "tokens: at least 1 is needed");
    const bool together = request.use_uncond && request.cond_tokens == request.uncond_tokens;
    const int64_t chunks = (std::max(request.cond_tokens, request.uncond_tokens) + config_.text.positions - 1) / config_.text.positions;
    const StageMemory text = runner_.memory(build_clip_text(config_.text, std::min(chunks, kWindowsAtOnce), 1));
    const UnetShape shape{request.batch * (together ? 2 : 1), request.latent_height, request.latent_width,
                          std::max(request.cond_tokens, request.uncond_tokens)};
    const StageMemory unet = runner_.memory(build_unet(config_.unet, shape));
    const StageMemory vae = decode_memory(runner_, config_.vae, request.latent_width, request.latent_height, request.tiling);
    const StageMemory encoder =
        encodes ? encode_memory(runner_, config_.vae, request.encoded_width, request.encoded_height, request.encoded_tiling) : StageMemory{};
    const auto part = [&](const StageMemory& memory, const std::vector<WeightUse>& uses) {
      return PartEstimate{runner_.packed_bytes(uses), static_cast<uint64_t>(memory.arena_bytes), static_cast<uint64_t>(memory.live_bytes),
                          memory.flops};
    };
    Estimate e;
    e.text = part(text, weights_.text);
    e.unet = part(unet, weights_.unet);
    e.vae = part(vae, weights_.vae);
    if (encodes) e.encoder = part(encoder, weights_.encoder);
    e.weight_bytes = e.text.weight_bytes + e.unet.weight_bytes + e.vae.weight_bytes + e.encoder.weight_bytes;
    e.arena_bytes = std::max({e.text.arena_bytes, e.unet.arena_bytes, e.vae.arena_bytes, e.encoder.arena_bytes});
    const int64_t bound = std::max({unet.bound_bytes, vae.bound_bytes, encoder.bound_bytes});
    const int64_t scratch = std::max({text.scratch_bytes, unet.scratch_bytes, vae.scratch_bytes, encoder.scratch_bytes});
    e.peak_bytes = e.weight_bytes + e.arena_bytes + static_cast<uint64_t>(bound + scratch);
    return e;
  }

  void load(const RunControl& control, const std::function<void(uint64_t, uint64_t)>& on_progress) override {
    runner_.prepare(weights_.all(), control.cancel, on_progress);
    settle_prediction(control);
  }

  std::vector<std::vector<Conditioning>> encode_text(const TextRequest& request, const RunControl& control) override {
    check_texts(request, description_);
    return run_text(runner_, config_.text, request, control);
  }

  Latent sample(const SampleRequest& request, const RunControl& control, const std::function<void(const StepEvent&)>& on_step) override {
    check_sample(request, description_);
    settle_prediction(control);
    return run_sample(runner_, config_, request, control, on_step);
  }

  std::vector<Image> decode(const DecodeRequest& request, const RunControl& control, const std::function<void(int)>& on_image) override {
    check_decode(request, description_);
    return run_decode(runner_, exact(), config_.vae, request, control, on_image);
  }

  Moments encode(const EncodeRequest& request, const RunControl& control) override {
    check_encode(request, description_);
    // Pictures from text do without the encoder, so that it is looked at only here.
    check_weights(weights_.encoder, runner_.index(), description_.path);
    return run_encode(runner_, exact(), config_.vae, request, control);
  }

 private:
  ExactRunner exact() {
    if (options_.precision == "fp32") return {};
    return [this] { return ModelRunner(runner_.store(), runner_.index(), open_backend(options_, "fp32")); };
  }

  /// Asks the network once where nothing else said what it predicts.
  void settle_prediction(const RunControl& control) {
    if (config_.prediction_type.value != PredictionType::kProbe) return;
    config_.prediction_type = {probe_prediction(runner_, config_.unet, control), Origin::kProbe};
    description_.prediction_type = config_.prediction_type;
  }

  OpenOptions options_;
  ModelConfig config_;
  PartWeights weights_;
  ModelDescription description_;
  ModelRunner runner_;
};

}  // namespace

std::unique_ptr<Engine> Engine::open(const OpenOptions& options) {
  check_device(options.device, options.precision);
  if (options.threads < 0 || options.threads > 1024) throw Error(ErrorCode::kInvalidArgument, "threads: must be 0 (one a core) to 1024");
  CheckedModel model = check_model(options);
  ModelDescription description = describe_model(model.checkpoint, model.config, model.weights);
  return std::make_unique<ModelEngine>(options, std::move(model.config), std::move(model.weights), std::move(description),
                                       ModelRunner(model.checkpoint.store, std::move(model.checkpoint.index), open_backend(options, options.precision)));
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
