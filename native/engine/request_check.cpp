#include "engine/request_check.h"

#include <cmath>

namespace sdgen {
namespace {

constexpr int64_t kLargestSide = 8192, kLargestBatch = 1024, kMostChunks = 1 << 14, kMostRepeats = 1 << 20, kMostParts = 1024;

[[noreturn]] void invalid(const std::string& message) { throw Error(ErrorCode::kInvalidArgument, message); }

void check_conditioning(const char* name, const Conditioning& c, const ModelDescription& model) {
  if (c.tokens < 1 || c.width != model.unet.context_width || static_cast<int64_t>(c.data.size()) != c.tokens * c.width) {
    invalid(std::string(name) + ": expected [tokens, " + std::to_string(model.unet.context_width) + "] features; got [" +
            std::to_string(c.tokens) + ", " + std::to_string(c.width) + "] with " + std::to_string(c.data.size()) + " values");
  }
}

void check_pooled(const char* name, const Conditioning& c, const ModelDescription& model) {
  if (model.unet.pooled_width > 0 && static_cast<int64_t>(c.pooled.size()) != model.unet.pooled_width) {
    invalid(std::string(name) + ": this model needs " + std::to_string(model.unet.pooled_width) + " pooled features; got " +
            std::to_string(c.pooled.size()));
  }
}

void check_chunk(const Chunk& chunk, const ModelDescription& model) {
  if (static_cast<int64_t>(chunk.tokens.size()) != model.text.positions || chunk.weights.size() != chunk.tokens.size()) {
    invalid("chunks: every chunk needs " + std::to_string(model.text.positions) + " tokens and as many weights");
  }
  for (int32_t id : chunk.tokens) {
    if (id < 0 || id >= model.text.vocabulary) {
      invalid("chunks: token " + std::to_string(id) + " is outside the vocabulary of " + std::to_string(model.text.vocabulary));
    }
  }
  for (float weight : chunk.weights) {
    if (!std::isfinite(weight)) invalid("chunks: a token's weight is not a finite number");
  }
}

void check_stages(const char* name, const std::vector<PromptStage>& stages, size_t conditionings) {
  if (stages.empty()) invalid(std::string(name) + ": at least one stage is needed");
  for (const PromptStage& stage : stages) {
    if (stage.conditioning < 0 || static_cast<size_t>(stage.conditioning) >= conditionings) {
      invalid(std::string(name) + ": there is no conditioning " + std::to_string(stage.conditioning));
    }
  }
}

void check_sigmas(const std::vector<float>& sigmas, const Sampler& sampler) {
  if (sigmas.size() < 2) invalid("sigmas: at least two are needed; got " + std::to_string(sigmas.size()));
  for (size_t i = 0; i < sigmas.size(); ++i) {
    const bool last = i + 1 == sigmas.size();
    if (!std::isfinite(sigmas[i]) || sigmas[i] < 0 || (sigmas[i] == 0 && (!last || sampler.ends_above_0))) {
      invalid("sigmas[" + std::to_string(i) + "]: must be finite and above 0" + (sampler.ends_above_0 ? "" : " (the last may be 0)"));
    }
    if (i > 0 && sigmas[i] > sigmas[i - 1] && sampler.walk != Walk::kRestarts) {
      invalid("sigmas[" + std::to_string(i) + "]: sigmas must not rise");
    }
  }
}

void check_timesteps(const SampleRequest& request, const Sampler& sampler) {
  const std::vector<float>& t = request.timesteps;
  const size_t expected = sampler.walk == Walk::kTimesteps ? request.sigmas.size() : 0;
  if (t.size() != expected) {
    invalid("timesteps: sampler '" + request.sampler + "' needs " + (expected == 0 ? "none" : "as many as sigmas") + "; got " +
            std::to_string(t.size()));
  }
  for (size_t i = 0; i < t.size(); ++i) {
    const bool clean = t[i] == -1 && i + 1 == t.size();
    if (!clean && !(t[i] >= 0 && t[i] <= 999)) invalid("timesteps[" + std::to_string(i) + "]: must be 0 to 999 (the last may be -1)");
    if (i > 0 && !(t[i] < t[i - 1])) invalid("timesteps[" + std::to_string(i) + "]: timesteps must fall");
  }
}

void check_noise(const SampleRequest& request) {
  const size_t images = request.seeds.size();
  for (const auto* seeds : {&request.subseeds, &request.later_seeds}) {
    if (!seeds->empty() && seeds->size() != images) invalid("subseeds, laterSeeds: as many as seeds are needed, or none");
  }
  if (!(request.subseed_strength >= 0 && request.subseed_strength <= 1)) invalid("subseedStrength: must be 0 to 1");
  if (request.resize_width != 0 || request.resize_height != 0) check_latent_size(request.resize_width, request.resize_height, 1);
}

void check_start(const SampleRequest& request, const Sampler& sampler, const ModelDescription& model) {
  const StartLatent& start = *request.start;
  const Latent& latent = start.latent;
  const auto images = static_cast<int64_t>(request.seeds.size());
  const int64_t pixels = request.latent_height * request.latent_width;
  if ((latent.batch != 1 && latent.batch != images) || latent.channels != model.latent_channels || latent.height != request.latent_height ||
      latent.width != request.latent_width || static_cast<int64_t>(latent.data.size()) != latent.batch * latent.channels * pixels) {
    invalid("start: the latent must be [1 or " + std::to_string(images) + ", " + std::to_string(model.latent_channels) + ", " +
            std::to_string(request.latent_height) + ", " + std::to_string(request.latent_width) + "]");
  }
  for (const double value : {start.noise_multiplier, start.extra_noise}) {
    if (!std::isfinite(value) || value < 0) invalid("start: noiseMultiplier and extraNoise must be finite and not negative");
  }
  const bool walks_timesteps = sampler.walk == Walk::kTimesteps;
  if (walks_timesteps != (start.timestep >= 0) || !(start.timestep <= 999)) {
    invalid("start: sampler '" + request.sampler + (walks_timesteps ? "' needs a timestep from 0 to 999" : "' takes no timestep"));
  }
  if (!start.mask.empty() && static_cast<int64_t>(start.mask.size()) != pixels) invalid("start: the mask must be [height, width] of the latent");
  for (const float weight : start.mask) {
    if (!(weight >= 0 && weight <= 1)) invalid("start: the mask's values must be 0 to 1");
  }
  if (start.mask.empty() && start.fill != MaskFill::kKeep) invalid("start: a fill needs a mask");
}

void check_further(const SampleRequest& request, const ModelDescription& model) {
  const int64_t channels = model.unet.in_channels - model.latent_channels, images = static_cast<int64_t>(request.seeds.size());
  if (request.further.has_value() != (channels > 0)) {
    invalid(channels > 0 ? "further: this model needs " + std::to_string(channels) + " further channels" : "further: this model takes none");
  }
  if (!std::isfinite(request.image_cfg_scale)) invalid("imageCfgScale: must be a finite number");
  if (request.image_cfg_scale != 1 && (channels != model.latent_channels || request.parts.size() != 1)) {
    invalid("imageCfgScale: only for one prompt and models that edit a picture");
  }
  if (request.image_cfg_scale != 1) {
    for (const Hook hook : request.hooks) {
      if (hook == Hook::kCfgDenoised) invalid("hooks: cfg_denoised does not go with imageCfgScale");
    }
  }
  if (channels == 0) return;
  const Latent& further = *request.further;
  if ((further.batch != 1 && further.batch != images) || further.channels != channels || further.height != request.latent_height ||
      further.width != request.latent_width ||
      static_cast<int64_t>(further.data.size()) != further.batch * channels * further.height * further.width) {
    invalid("further: must be [1 or " + std::to_string(images) + ", " + std::to_string(channels) + ", " +
            std::to_string(request.latent_height) + ", " + std::to_string(request.latent_width) + "]");
  }
}

void check_noise_interval(const SampleRequest& request) {
  if (request.noise_low == 0 && request.noise_high == 0) return;
  const bool is_interval = request.noise_low > 0 && std::isfinite(request.noise_high) && request.noise_low < request.noise_high;
  if (!is_interval) invalid("noiseInterval: low must be above 0 and below high");
  for (const float sigma : request.sigmas) {
    const auto value = static_cast<double>(sigma);
    if (value > 0 && (value < request.noise_low || value > request.noise_high)) invalid("noiseInterval: sigmas must lie inside");
  }
}

}  // namespace

void check_latent_size(int64_t width, int64_t height, int64_t batch) {
  if (width < 1 || height < 1 || width > kLargestSide || height > kLargestSide) {
    invalid("latent size " + std::to_string(width) + "x" + std::to_string(height) + ": sides must be 1 to " + std::to_string(kLargestSide));
  }
  if (batch < 1 || batch > kLargestBatch) invalid("batch " + std::to_string(batch) + ": must be 1 to " + std::to_string(kLargestBatch));
}

void check_texts(const TextRequest& request, const ModelDescription& model) {
  if (request.clip_skip < 1 || request.clip_skip > model.text.layers) {
    invalid("clipSkip " + std::to_string(request.clip_skip) + ": this text encoder has layers for 1 to " +
            std::to_string(model.text.layers));
  }
  if (request.clip_skip != 1 && !model.text.has_clip_skip) {
    invalid("clipSkip " + std::to_string(request.clip_skip) + ": this family of models always takes the same layer; give 1");
  }
  int64_t all = 0;
  for (const std::vector<Text>& texts : request.groups) {
    if (texts.empty()) invalid("groups: a group needs at least one text");
    for (const Text& text : texts) {
      if (text.count < 1 || text.count > kMostRepeats) invalid("groups: a text counts 1 to " + std::to_string(kMostRepeats) + " times");
      if (text.chunks.empty() || text.chunks.size() != texts[0].chunks.size()) {
        invalid("groups: the texts of a group need as many chunks each, at least one");
      }
      for (const Chunk& chunk : text.chunks) check_chunk(chunk, model);
      all += static_cast<int64_t>(text.chunks.size());
    }
  }
  if (all < 1 || all > kMostChunks) invalid("groups: 1 to " + std::to_string(kMostChunks) + " chunks are possible; got " + std::to_string(all));
}

void check_sample(const SampleRequest& request, const ModelDescription& model) {
  check_latent_size(request.latent_width, request.latent_height, static_cast<int64_t>(request.seeds.size()));
  const Sampler* sampler = find_sampler(request.sampler);
  if (sampler == nullptr) invalid("sampler '" + request.sampler + "' is not built");
  if (sampler->one_image && request.seeds.size() > 1) invalid("batch: sampler '" + request.sampler + "' takes one image at a time");
  check_sigmas(request.sigmas, *sampler);
  check_timesteps(request, *sampler);
  check_noise(request);
  check_noise_interval(request);
  check_further(request, model);
  if (request.start) check_start(request, *sampler, model);
  if (!std::isfinite(request.cfg_scale)) invalid("cfgScale: must be a finite number");
  const SamplerOptions& o = request.options;
  for (double value : {o.eta, o.s_churn, o.s_tmin, o.s_noise}) {
    if (!std::isfinite(value) || value < 0) invalid("samplerOptions: eta, sChurn, sTmin and sNoise must be finite and not negative");
  }
  if (std::isnan(o.s_tmax)) invalid("samplerOptions: sTmax is not a number");
  for (const Conditioning& conditioning : request.conditionings) {
    check_conditioning("conditionings", conditioning, model);
    check_pooled("conditionings", conditioning, model);
  }
  if (request.parts.empty() || static_cast<int64_t>(request.parts.size()) > kMostParts) {
    invalid("parts: 1 to " + std::to_string(kMostParts) + " are possible; got " + std::to_string(request.parts.size()));
  }
  for (const PromptPart& part : request.parts) {
    if (!std::isfinite(part.weight)) invalid("parts: a weight is not a finite number");
    check_stages("parts", part.stages, request.conditionings.size());
  }
  if (request.is_guided()) check_stages("uncond", request.uncond, request.conditionings.size());
  if (o.unipc_order < 1 || o.unipc_order > 3) invalid("samplerOptions: unipcOrder must be 1 to 3");
}

void check_tiling(const Tiling& tiling) {
  if (tiling.tile == 0) return;
  if (tiling.tile < 4 || tiling.tile > kLargestSide || tiling.overlap < 1 || 4 * tiling.overlap > tiling.tile) {
    invalid("tiling: a tile must be 4 to " + std::to_string(kLargestSide) + " latent cells, its overlap 1 to a quarter of that; got " +
            std::to_string(tiling.tile) + " and " + std::to_string(tiling.overlap));
  }
}

void check_encode(const EncodeRequest& request, const ModelDescription& model) {
  check_tiling(request.tiling);
  const std::vector<Picture>& pictures = request.pictures;
  if (pictures.empty()) invalid("images: at least one is needed");
  const int64_t width = pictures[0].width, height = pictures[0].height, scale = model.latent_scale;
  check_latent_size(width / scale, height / scale, static_cast<int64_t>(pictures.size()));
  if (width % scale != 0 || height % scale != 0) {
    invalid("images: sides must be multiples of " + std::to_string(scale) + "; got " + std::to_string(width) + "x" + std::to_string(height));
  }
  for (const Picture& picture : pictures) {
    if (picture.width != width || picture.height != height || static_cast<int64_t>(picture.rgb.size()) != 3 * width * height) {
      invalid("images: all must be [height, width, 3] of one size");
    }
  }
}

void check_decode(const DecodeRequest& request, const ModelDescription& model) {
  check_tiling(request.tiling);
  const Latent& latent = request.latent;
  check_latent_size(latent.width, latent.height, latent.batch);
  const int64_t values = latent.batch * latent.channels * latent.height * latent.width;
  if (latent.channels != model.latent_channels || static_cast<int64_t>(latent.data.size()) != values) {
    invalid("latent: expected [batch, " + std::to_string(model.latent_channels) + ", height, width] values");
  }
}

}  // namespace sdgen
