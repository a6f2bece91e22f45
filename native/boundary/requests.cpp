#include "boundary/requests.h"

#include <algorithm>
#include <array>
#include <limits>
#include <span>

namespace sdgen::boundary {

namespace {

constexpr int64_t kMostTokens = 1 << 16;
constexpr uint32_t kMostPrompts = 1 << 16;  // texts, parts, stages, evaluations
constexpr std::array kUniPcVariants{"bh1", "bh2", "vary_coeff"};
constexpr std::array kMaskFills{"keep", "noise", "nothing"};
constexpr int64_t kLargestSeed = (int64_t{1} << 53) - 1;

ModelOverrides read_overrides(const Argument& overrides) {
  ModelOverrides read;
  const Argument prediction_type = overrides["predictionType"], text_heads = overrides["textHeads"];
  const Argument unet_heads = overrides["unetHeads"], scale_factor = overrides["scaleFactor"];
  if (prediction_type.given()) {
    // "probe" is what a file may need, not what one can ask for.
    constexpr std::span<const char* const> built(kPredictionTypes.data(), 2);
    read.prediction_type = static_cast<PredictionType>(prediction_type.one_of(built));
  }
  if (text_heads.given()) read.text_heads = text_heads.integer(1, 1024);
  if (unet_heads.given()) read.unet_heads = unet_heads.integer(1, 1024);
  if (const Argument zero_snr = overrides["zeroTerminalSnr"]; zero_snr.given()) read.zero_terminal_snr = zero_snr.boolean();
  if (scale_factor.given()) read.scale_factor = scale_factor.number(std::numeric_limits<double>::min());
  return read;
}

Conditioning read_conditioning(const Argument& conditioning, const ModelDescription& model) {
  Conditioning read;
  read.tokens = conditioning["tokens"].integer(1, kMostTokens);
  read.width = conditioning["width"].integer(model.unet.context_width, model.unet.context_width);
  read.data = conditioning["data"].floats(read.tokens * read.width);
  if (model.unet.pooled_width > 0) read.pooled = conditioning["pooled"].floats(model.unet.pooled_width);
  return read;
}

Latent read_latent(const Argument& latent, int64_t channels) {
  Latent read;
  read.batch = latent["batch"].integer(1, kLargestBatch);
  read.channels = latent["channels"].integer(channels, channels);
  read.height = latent["height"].integer(1, kLargestSide);
  read.width = latent["width"].integer(1, kLargestSide);
  read.data = latent["data"].floats(read.batch * read.channels * read.height * read.width);
  return read;
}

std::vector<PromptStage> read_stages(const Argument& stages, int64_t conditionings) {
  std::vector<PromptStage> read;
  for (const Argument& stage : stages.elements(kMostPrompts)) {
    read.push_back({stage["until"].integer(0, kMostPrompts), stage["conditioning"].integer(0, conditionings - 1)});
  }
  return read;
}

std::vector<uint64_t> read_seeds(const Argument& seeds) {
  std::vector<uint64_t> read;
  for (const Argument& seed : seeds.elements(kLargestBatch)) read.push_back(static_cast<uint64_t>(seed.integer(0, kLargestSeed)));
  return read;
}

/// What changes the start's noise, and where later draws come from; all may be left out.
void read_start(const Argument& request, SampleRequest& read) {
  const Argument variation = request["variation"], resize = request["resizeFrom"], later = request["laterSeeds"];
  if (variation.given()) {
    read.subseeds = read_seeds(variation["seeds"]);
    read.subseed_strength = variation["strength"].number(0);
  }
  if (resize.given()) {
    read.resize_width = resize["width"].integer(1, kLargestSide);
    read.resize_height = resize["height"].integer(1, kLargestSide);
  }
  if (later.given()) read.later_seeds = read_seeds(later);
}

/// The optional `start`: latents that the run begins with.
std::optional<StartLatent> read_start_latent(const Argument& start, const ModelDescription& model) {
  if (!start.given()) return std::nullopt;
  StartLatent read{read_latent(start["latent"], model.latent_channels)};
  const Argument multiplier = start["noiseMultiplier"], extra = start["extraNoise"], timestep = start["timestep"];
  if (multiplier.given()) read.noise_multiplier = multiplier.number(0);
  if (extra.given()) read.extra_noise = extra.number(0);
  if (timestep.given()) read.timestep = timestep.number(0);
  if (const Argument mask = start["mask"]; mask.given()) read.mask = mask.floats(read.latent.height * read.latent.width);
  if (const Argument fill = start["fill"]; fill.given()) read.fill = static_cast<MaskFill>(fill.one_of(kMaskFills));
  return read;
}

}  // namespace

SamplerOptions read_sampler_options(const Argument& options) {
  SamplerOptions read;
  read.eta = options["eta"].number(0);
  read.s_churn = options["sChurn"].number(0);
  read.s_tmin = options["sTmin"].number(0);
  read.s_tmax = options["sTmax"].number(0);
  read.s_noise = options["sNoise"].number(0);
  const Argument variant = options["unipcVariant"], order = options["unipcOrder"];
  if (variant.given()) read.unipc_variant = static_cast<UniPcVariant>(variant.one_of(kUniPcVariants));
  if (order.given()) read.unipc_order = static_cast<int>(order.integer(1, 3));
  return read;
}

OpenOptions read_open_options(const Argument& options) {
  OpenOptions read;
  read.path = options["path"].text();
  if (const Argument vae = options["vae"]; vae.given()) read.vae = vae.text();
  read.device = options["device"].device(kDevices);
  read.precision = kPrecisions[options["precision"].one_of(kPrecisions)];
  read.threads = static_cast<int>(options["threads"].integer(0, 1024));
  const Argument overrides = options["overrides"];
  if (overrides.given()) read.overrides = read_overrides(overrides);
  return read;
}

/// The optional `tiling`, {tile, overlap} in latent cells: in one piece without it.
Tiling read_tiling(const Argument& tiling) {
  if (!tiling.given()) return {};
  return {tiling["tile"].integer(4, kLargestSide), tiling["overlap"].integer(1, kLargestSide)};
}

EstimateRequest read_estimate_request(const Argument& request) {
  EstimateRequest read;
  read.latent_width = request["latentWidth"].integer(1, kLargestSide);
  read.latent_height = request["latentHeight"].integer(1, kLargestSide);
  read.batch = request["batch"].integer(1, kLargestBatch);
  read.cond_tokens = request["condTokens"].integer(1, kMostTokens);
  read.uncond_tokens = request["uncondTokens"].integer(1, kMostTokens);
  read.use_uncond = request["useUncond"].boolean();
  read.tiling = read_tiling(request["tiling"]);
  if (const Argument encoded = request["encoded"]; encoded.given()) {
    read.encoded_width = encoded["latentWidth"].integer(1, kLargestSide);
    read.encoded_height = encoded["latentHeight"].integer(1, kLargestSide);
    read.encoded_tiling = read_tiling(encoded["tiling"]);
  }
  return read;
}

TextRequest read_text_request(const Argument& request, const ModelDescription& model) {
  const int64_t window = model.text.positions;
  const auto most_chunks = static_cast<uint32_t>(kMostTokens / window);
  TextRequest read;
  for (const Argument& group : request["groups"].elements(kMostPrompts)) {
    std::vector<Text>& texts = read.groups.emplace_back();
    for (const Argument& text : group.elements(kMostPrompts)) {
      Text& one = texts.emplace_back();
      for (const Argument& chunk : text["chunks"].elements(most_chunks)) {
        one.chunks.push_back({chunk["tokens"].int32s(window, model.text.vocabulary - 1), chunk["weights"].floats(window)});
      }
      one.count = text["count"].integer(1, kMostPrompts);
    }
  }
  read.clip_skip = static_cast<int>(request["clipSkip"].integer(1, model.text.layers));
  read.restore_mean = request["restoreMean"].boolean();
  return read;
}

SampleRequest read_sample_request(const Argument& request, const ModelDescription& model) {
  const Argument sigmas = request["sigmas"], timesteps = request["timesteps"];
  SampleRequest read;
  read.latent_width = request["latentWidth"].integer(1, kLargestSide);
  read.latent_height = request["latentHeight"].integer(1, kLargestSide);
  read.seeds = read_seeds(request["seeds"]);
  read_start(request, read);
  read.noise_source = static_cast<NoiseSource>(request["noiseSource"].one_of(kNoiseSources));
  const std::vector<std::string> samplers = sampler_ids();
  read.sampler = samplers[request["sampler"].one_of(samplers)];
  read.options = read_sampler_options(request["samplerOptions"]);
  read.sigmas = sigmas.floats();
  const bool negative = std::any_of(read.sigmas.begin(), read.sigmas.end(), [](float sigma) { return sigma < 0; });
  if (read.sigmas.size() < 2 || negative) sigmas.refuse("a Float32Array of two or more sigmas, none of them negative");
  if (timesteps.given()) read.timesteps = timesteps.floats();
  read.start = read_start_latent(request["start"], model);
  if (const Argument interval = request["noiseInterval"]; interval.given()) {
    read.noise_low = interval["low"].number(0);
    read.noise_high = interval["high"].number(0);
  }
  const Argument signal = request["startWithSignal"], whole = request["wholeTimesteps"];
  if (signal.given()) read.start_with_signal = signal.boolean();
  if (whole.given()) read.whole_timesteps = whole.boolean();
  read.cfg_scale = request["cfgScale"].number(-kAny);
  if (const Argument further = request["further"]; further.given()) {
    const int64_t channels = model.unet.in_channels - model.latent_channels;
    if (channels == 0) further.refuse("absent for this model");
    read.further = read_latent(further, channels);
  }
  if (const Argument scale = request["imageCfgScale"]; scale.given()) read.image_cfg_scale = scale.number(-kAny);
  for (const Argument& conditioning : request["conditionings"].elements(kMostPrompts)) {
    read.conditionings.push_back(read_conditioning(conditioning, model));
  }
  const auto prompts = static_cast<int64_t>(read.conditionings.size());
  for (const Argument& part : request["parts"].elements(kMostPrompts)) {
    read.parts.push_back({part["weight"].number(-kAny), read_stages(part["stages"], prompts)});
  }
  const Argument uncond = request["uncond"];
  if (read.is_guided() || uncond.given()) read.uncond = read_stages(uncond, prompts);
  const Argument preview_every = request["previewEvery"];
  if (preview_every.given()) read.preview_every = static_cast<int>(preview_every.integer(0, 1 << 20));
  const Argument hooks = request["hooks"];
  if (hooks.given()) {
    for (const Argument& hook : hooks.elements(kHooks.size())) read.hooks.push_back(static_cast<Hook>(hook.one_of(kHooks)));
  }
  return read;
}

void read_hook_reply(const Argument& reply, HookCall& call) {
  call.replaced.assign(call.latents.size(), false);
  if (!reply.given()) return;
  const std::vector<Argument> latents = reply.elements(static_cast<uint32_t>(call.latents.size()));
  for (size_t i = 0; i < latents.size(); ++i) {
    if (!latents[i].given()) continue;
    std::vector<float> data = latents[i].floats();
    if (data.size() != call.latents[i].data.size()) latents[i].refuse("a Float32Array as long as the latent");
    call.latents[i].data = std::move(data);
    call.replaced[i] = true;
  }
}

EncodeRequest read_encode_request(const Argument& request, const ModelDescription&) {
  EncodeRequest read;
  read.tiling = read_tiling(request["tiling"]);
  for (const Argument& image : request["images"].elements(kLargestBatch)) {
    Picture picture;
    picture.width = image["width"].integer(1, kLargestSide);
    picture.height = image["height"].integer(1, kLargestSide);
    picture.rgb = image["data"].rgb(3 * picture.width * picture.height);
    read.pictures.push_back(std::move(picture));
  }
  return read;
}

DecodeRequest read_decode_request(const Argument& request, const ModelDescription& model) {
  return {read_latent(request["latent"], model.latent_channels), read_tiling(request["tiling"])};
}

ResizeRequest read_resize_request(const Argument& request, const ModelDescription& model) {
  return {read_latent(request["latent"], model.latent_channels), request["width"].integer(1, kLargestSide), request["height"].integer(1, kLargestSide),
          static_cast<LatentResize>(request["mode"].one_of(kLatentResizes))};
}

bool read_switch(const Argument& request, const char* name) {
  const Argument value = request[name];
  return value.given() && value.boolean();
}

}  // namespace sdgen::boundary
