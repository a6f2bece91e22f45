#include "addon/arguments.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <sstream>

namespace sdgen::addon {

namespace {

constexpr double kAny = std::numeric_limits<double>::max();
constexpr int64_t kLargestSide = 1 << 20;  // of a latent; products of sides, batch and channels fit in int64
constexpr uint32_t kLargestBatch = 4096;
constexpr int64_t kMostTokens = 1 << 16;
constexpr uint32_t kMostPrompts = 1 << 16;  // texts, parts, stages, evaluations
constexpr std::array kUniPcVariants{"bh1", "bh2"};
constexpr int64_t kLargestSeed = (int64_t{1} << 53) - 1;

/// A JavaScript value and the name it has in errors.
class Argument {
 public:
  Argument(Napi::Value value, std::string name) : value_(value), name_(std::move(name)) {}

  [[noreturn]] void refuse(const std::string& expected) const {
    const std::string who = name_.empty() ? "the argument" : name_;
    throw Error(ErrorCode::kInvalidArgument, who + " must be " + expected + ", got " + shown());
  }

  bool given() const { return !value_.IsUndefined(); }

  Argument operator[](const char* field) const {
    if (!value_.IsObject()) refuse("an object");
    return {value_.As<Napi::Object>().Get(field), name_.empty() ? field : name_ + '.' + field};
  }

  std::vector<Argument> elements(uint32_t most) const {
    const uint32_t count = value_.IsArray() ? value_.As<Napi::Array>().Length() : 0;
    if (count < 1 || count > most) refuse("an array of 1 to " + std::to_string(most) + " elements");
    std::vector<Argument> elements;
    for (uint32_t i = 0; i < count; ++i) elements.emplace_back(value_.As<Napi::Array>().Get(i), indexed(i));
    return elements;
  }

  double number(double least, double most = kAny) const {
    const double number = as_double();
    if (number >= least && number <= most) return number;  // false for NaN
    std::ostringstream expected;
    expected << "a finite number";
    if (least > -kAny) expected << " of at least " << least;
    refuse(expected.str());
  }

  int64_t integer(int64_t least, int64_t most) const {
    const double number = as_double();
    const bool within = number >= static_cast<double>(least) && number <= static_cast<double>(most);
    if (within && std::trunc(number) == number) return static_cast<int64_t>(number);
    refuse("an integer from " + std::to_string(least) + " to " + std::to_string(most));
  }

  bool boolean() const {
    if (!value_.IsBoolean()) refuse("true or false");
    return value_.As<Napi::Boolean>().Value();
  }

  std::string text() const {
    std::string text = value_.IsString() ? value_.As<Napi::String>().Utf8Value() : std::string();
    if (text.empty() || text.find('\0') != std::string::npos) refuse("a string, not empty and without NUL");
    return text;
  }

  /// The place of this string among `names`.
  template <typename Names>
  size_t one_of(const Names& names) const {
    const auto found = std::find(names.begin(), names.end(), text());
    if (found != names.end()) return static_cast<size_t>(found - names.begin());
    std::string all;
    for (const auto& name : names) all += (all.empty() ? "one of " : ", ") + std::string(name);
    refuse(all);
  }

  Napi::Function function() const {
    if (!value_.IsFunction()) refuse("a function");
    return value_.As<Napi::Function>();
  }

  /// A Float32Array of finite values; of `count` of them unless that is -1.
  std::vector<float> floats(int64_t count = -1) const {
    auto values = copy<Napi::Float32Array, float>(napi_float32_array, "a Float32Array", count);
    for (size_t i = 0; i < values.size(); ++i) {
      if (!std::isfinite(values[i])) element(i, values[i]).refuse("finite");
    }
    return values;
  }

  /// Colours in [-1, 1]: a Uint8Array of levels, or a Float32Array.
  std::vector<float> rgb(int64_t count) const {
    if (!value_.IsTypedArray() || value_.As<Napi::TypedArray>().TypedArrayType() == napi_float32_array) return floats(count);
    std::vector<float> colours;
    for (const uint8_t level : copy<Napi::Uint8Array, uint8_t>(napi_uint8_array, "a Uint8Array or Float32Array", count)) {
      colours.push_back(2.0f * (static_cast<float>(level) / 255.0f) - 1.0f);
    }
    return colours;
  }

  /// An Int32Array of `count` elements, each from 0 to `most`.
  std::vector<int32_t> int32s(int64_t count, int64_t most) const {
    auto values = copy<Napi::Int32Array, int32_t>(napi_int32_array, "an Int32Array", count);
    for (size_t i = 0; i < values.size(); ++i) element(i, values[i]).integer(0, most);
    return values;
  }

 private:
  double as_double() const {
    return value_.IsNumber() ? value_.As<Napi::Number>().DoubleValue() : std::numeric_limits<double>::quiet_NaN();
  }
  std::string indexed(size_t i) const { return name_ + '[' + std::to_string(i) + ']'; }
  Argument element(size_t i, double value) const { return {Napi::Number::New(value_.Env(), value), indexed(i)}; }

  /// Callers check the copy, not the array: its memory may be shared with another thread.
  template <typename Array, typename T>
  std::vector<T> copy(napi_typedarray_type type, const std::string& kind, int64_t count) const {
    const std::string expected = count < 0 ? kind : kind + " of " + std::to_string(count) + " elements";
    if (!value_.IsTypedArray() || value_.As<Napi::TypedArray>().TypedArrayType() != type) refuse(expected);
    const auto array = value_.As<Array>();
    if (count >= 0 && array.ElementLength() != static_cast<size_t>(count)) refuse(expected);
    return {array.Data(), array.Data() + array.ElementLength()};
  }

  std::string shown() const {
    if (value_.IsTypedArray()) {
      return "a typed array of " + std::to_string(value_.As<Napi::TypedArray>().ElementLength()) + " elements";
    }
    if (value_.IsArray()) return "an array of " + std::to_string(value_.As<Napi::Array>().Length()) + " elements";
    if (value_.IsFunction() || value_.IsObject() || value_.IsSymbol()) {
      return value_.IsSymbol() ? "a symbol" : value_.IsFunction() ? "a function" : "an object";
    }
    const std::string text = value_.ToString().Utf8Value();
    if (text.size() > 60) return "a value of " + std::to_string(text.size()) + " characters";
    return value_.IsString() ? '"' + text + '"' : text;
  }

  Napi::Value value_;
  std::string name_;
};

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

Latent read_latent(const Argument& latent, const ModelDescription& model) {
  Latent read;
  read.batch = latent["batch"].integer(1, kLargestBatch);
  read.channels = latent["channels"].integer(model.latent_channels, model.latent_channels);
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

}  // namespace

OpenOptions read_open_options(Napi::Value value) {
  constexpr std::array devices{"reference", "cpu", "cuda"}, precisions{"fp32", "bf16", "fp16"};
  const Argument options(value, "");
  OpenOptions read;
  read.path = options["path"].text();
  if (const Argument vae = options["vae"]; vae.given()) read.vae = vae.text();
  read.device = devices[options["device"].one_of(devices)];
  read.precision = precisions[options["precision"].one_of(precisions)];
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

EstimateRequest read_estimate_request(Napi::Value value) {
  const Argument request(value, "");
  EstimateRequest read;
  read.latent_width = request["latentWidth"].integer(1, kLargestSide);
  read.latent_height = request["latentHeight"].integer(1, kLargestSide);
  read.batch = request["batch"].integer(1, kLargestBatch);
  read.cond_tokens = request["condTokens"].integer(1, kMostTokens);
  read.uncond_tokens = request["uncondTokens"].integer(1, kMostTokens);
  read.use_uncond = request["useUncond"].boolean();
  read.tiling = read_tiling(request["tiling"]);
  return read;
}

TextRequest read_text_request(Napi::Value value, const ModelDescription& model) {
  const Argument request(value, "");
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

SampleRequest read_sample_request(Napi::Value value, const ModelDescription& model) {
  const Argument request(value, ""), sigmas = request["sigmas"], timesteps = request["timesteps"];
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
  const Argument signal = request["startWithSignal"], whole = request["wholeTimesteps"];
  if (signal.given()) read.start_with_signal = signal.boolean();
  if (whole.given()) read.whole_timesteps = whole.boolean();
  read.cfg_scale = request["cfgScale"].number(-kAny);
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

void read_hook_reply(Napi::Value value, HookCall& call) {
  const Argument reply(value, "the hook's answer");
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

std::vector<Picture> read_encode_request(Napi::Value value, const ModelDescription&) {
  std::vector<Picture> pictures;
  for (const Argument& image : Argument(value, "")["images"].elements(kLargestBatch)) {
    Picture picture;
    picture.width = image["width"].integer(1, kLargestSide);
    picture.height = image["height"].integer(1, kLargestSide);
    picture.rgb = image["data"].rgb(3 * picture.width * picture.height);
    pictures.push_back(std::move(picture));
  }
  return pictures;
}

DecodeRequest read_decode_request(Napi::Value value, const ModelDescription& model) {
  const Argument request(value, "");
  return {read_latent(request["latent"], model), read_tiling(request["tiling"])};
}

ResizeRequest read_resize_request(Napi::Value value, const ModelDescription& model) {
  const Argument request(value, "");
  return {read_latent(request["latent"], model), request["width"].integer(1, kLargestSide), request["height"].integer(1, kLargestSide),
          static_cast<LatentResize>(request["mode"].one_of(kLatentResizes))};
}

bench::Options read_bench_options(Napi::Value value) {
  const Argument options(value, "");
  bench::Options read;
  const auto list = [&](const char* field) {
    std::vector<std::string> items;
    if (options[field].given()) {
      for (const Argument& item : options[field].elements(16)) items.push_back(item.text());
    }
    return items;
  };
  read.arch = options["arch"].text();
  if (options["model"].given()) read.model = options["model"].text();
  read.parts = list("parts");
  read.precisions = list("precisions");
  read.width = options["width"].integer(8, 8 * kLargestSide);
  read.height = options["height"].integer(8, 8 * kLargestSide);
  read.batch = options["batch"].integer(1, kLargestBatch);
  read.device = options["device"].text();
  read.threads = static_cast<int>(options["threads"].integer(0, 1024));
  read.repeat = static_cast<int>(options["repeat"].integer(1, 1000));
  read.op_shapes = options["opShapes"].boolean();
  return read;
}

ProbeOptions read_probe_options(Napi::Value value) {
  constexpr std::array<const char*, 2> kPrecisions{"fp32", "bf16"};
  const Argument options(value, "");
  const size_t precision = options["precision"].one_of(kPrecisions);
  return {kPrecisions.at(precision), static_cast<int>(options["threads"].integer(0, 1024)), options["seconds"].number(0, 60)};
}

bool read_switch(Napi::Value request, const char* name) {
  const Argument value = Argument(request, "")[name];
  return value.given() && value.boolean();
}

Napi::Function read_listener(Napi::Value value, const char* name) {
  const Argument listener(value, name);
  return listener.given() ? listener.function() : Napi::Function();
}

}  // namespace sdgen::addon
