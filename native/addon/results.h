#pragma once
// What the engine gives, as plain JavaScript values.
#include <algorithm>
#include <iomanip>
#include <initializer_list>
#include <sstream>
#include <utility>

#include "addon/arguments.h"

namespace sdgen::addon {

struct Js {
  Napi::Env env;

  Napi::Object object(std::initializer_list<std::pair<const char*, Napi::Value>> fields) const {
    Napi::Object result = Napi::Object::New(env);
    for (const auto& [name, value] : fields) result.Set(name, value);
    return result;
  }
  template <typename T>
    requires(std::is_arithmetic_v<T> && !std::is_same_v<T, bool>)
  Napi::Value operator()(T value) const { return Napi::Number::New(env, static_cast<double>(value)); }
  Napi::Value operator()(bool value) const { return Napi::Boolean::New(env, value); }
  Napi::Value operator()(const std::string& value) const { return Napi::String::New(env, value); }
  Napi::Value operator()(const char* value) const { return Napi::String::New(env, value); }
  Napi::Value operator()(PredictionType type) const { return (*this)(kPredictionTypes.at(static_cast<size_t>(type))); }
  Napi::Value operator()(const std::vector<float>& values) const { return typed<Napi::Float32Array>(values); }
  Napi::Value operator()(const std::vector<uint8_t>& values) const { return typed<Napi::Uint8Array>(values); }
  template <typename List>
    requires requires(const List& list) { list.size(), list[0]; }
  Napi::Value operator()(const List& values) const {
    Napi::Array array = Napi::Array::New(env, values.size());
    for (size_t i = 0; i < values.size(); ++i) array.Set(static_cast<uint32_t>(i), (*this)(values[i]));
    return array;
  }
  /// Keys come from files: each becomes an own property, even "__proto__".
  template <typename T>
  Napi::Value operator()(const std::map<std::string, T>& values) const {
    Napi::Object record = Napi::Object::New(env);
    for (const auto& [key, value] : values) {
      const auto name = Napi::String::New(env, key);
      record.DefineProperty(Napi::PropertyDescriptor::Value(name, (*this)(value), napi_default_jsproperty));
    }
    return record;
  }
  template <typename T>
  Napi::Value operator()(const Resolved<T>& r) const {
    return object({{"value", (*this)(r.value)}, {"origin", (*this)(kOrigins.at(static_cast<size_t>(r.origin)))}});
  }

  Napi::Value operator()(const LoadEvent& e) const {
    return object({{"loadedBytes", (*this)(e.loaded)}, {"totalBytes", (*this)(e.total)}});
  }
  Napi::Value operator()(const StepEvent& e) const {
    Napi::Object event = object({{"step", (*this)(e.step)}, {"steps", (*this)(e.steps)},
                                 {"evaluations", (*this)(e.evaluations)}, {"sigma", (*this)(e.sigma)}});
    if (e.preview) event.Set("preview", (*this)(*e.preview));
    return event;
  }
  Napi::Value operator()(const HookCall& call) const {
    return object({{"hook", (*this)(kHooks.at(static_cast<size_t>(call.hook)))}, {"step", (*this)(call.step)},
                   {"evaluation", (*this)(call.evaluation)}, {"sigma", (*this)(call.sigma)},
                   {"latents", (*this)(call.latents)}, {"hasUncond", (*this)(call.has_uncond)}});
  }
  Napi::Value operator()(const ImageEvent& e) const { return (*this)(e.done); }
  Napi::Value operator()(const Event& event) const {
    return std::visit([this](const auto& e) { return (*this)(e); }, event);
  }
  Napi::Value operator()(const OpProfile& row) const {
    return object({{"part", (*this)(row.part)}, {"op", (*this)(row.op)}, {"calls", (*this)(row.calls)},
                   {"seconds", (*this)(row.seconds)}, {"flops", (*this)(row.flops)}, {"bytes", (*this)(row.bytes)}});
  }
  Napi::Value operator()(const TrailPoint& point) const {
    std::vector<std::string> hashes;
    for (const uint64_t hash : point.hashes) {
      std::ostringstream digits;
      digits << std::hex << std::setw(16) << std::setfill('0') << hash;
      hashes.push_back(digits.str());
    }
    return object({{"step", (*this)(point.step)}, {"hashes", (*this)(hashes)}});
  }
  Napi::Value operator()(const Conditioning& c) const {
    Napi::Object made = object({{"data", (*this)(c.data)}, {"tokens", (*this)(c.tokens)}, {"width", (*this)(c.width)}});
    if (!c.pooled.empty()) made.Set("pooled", (*this)(c.pooled));
    return made;
  }
  Napi::Value operator()(const Latent& l) const {
    return object({{"data", (*this)(l.data)}, {"batch", (*this)(l.batch)}, {"channels", (*this)(l.channels)},
                   {"height", (*this)(l.height)}, {"width", (*this)(l.width)}});
  }
  Napi::Value operator()(const Moments& m) const { return object({{"mean", (*this)(m.mean)}, {"logvar", (*this)(m.logvar)}}); }
  Napi::Value operator()(const Image& image) const {
    return object({{"data", (*this)(image.rgb)}, {"width", (*this)(image.width)}, {"height", (*this)(image.height)},
                   {"retriedInFp32", (*this)(image.retried_in_fp32)}});
  }
  Napi::Value operator()(const DeviceInfo& device) const {
    return object({{"name", (*this)(device.name)}, {"description", (*this)(device.description)},
                   {"precisions", (*this)(device.precisions)}, {"isa", (*this)(device.isa)},
                   {"missing", (*this)(device.missing)}});
  }
  Napi::Value operator()(const PartEstimate& part) const {
    return object({{"weightBytes", (*this)(part.weight_bytes)}, {"arenaBytes", (*this)(part.arena_bytes)},
                   {"liveBytes", (*this)(part.live_bytes)}, {"flops", (*this)(part.flops)}});
  }
  Napi::Value operator()(const Estimate& e) const {
    const auto parts = object({{"text", (*this)(e.text)}, {"unet", (*this)(e.unet)}, {"vae", (*this)(e.vae)}});
    return object({{"weightBytes", (*this)(e.weight_bytes)}, {"arenaBytes", (*this)(e.arena_bytes)},
                   {"peakBytes", (*this)(e.peak_bytes)}, {"parts", parts}});
  }
  Napi::Value operator()(const ModelDescription& model) const;

 private:
  template <typename Array, typename T>
  Napi::Value typed(const std::vector<T>& values) const {
    Array array = Array::New(env, values.size());
    std::copy(values.begin(), values.end(), array.Data());
    return array;
  }
};

inline Napi::Value Js::operator()(const ModelDescription& model) const {
  const Js& js = *this;
  const auto& [text, unet, vae] = std::tie(model.text, model.unet, model.vae);
  return object({
      {"path", js(model.path)},
      {"family", js(model.family)},
      {"fileBytes", js(model.file_bytes)},
      {"tensorCount", js(model.tensor_count)},
      {"dtypes", js(model.dtypes)},
      {"parameters", js(model.parameters)},
      {"metadata", js(model.metadata)},
      {"predictionType", js(model.prediction_type)},
      {"scaleFactor", js(model.scale_factor)},
      {"latentChannels", js(model.latent_channels)},
      {"latentScale", js(model.latent_scale)},
      {"text", object({{"width", js(text.width)}, {"layers", js(text.layers)}, {"heads", js(text.heads)},
                       {"vocabulary", js(text.vocabulary)}, {"positions", js(text.positions)},
                       {"hasClipSkip", js(text.has_clip_skip)},
                       {"tokenizer", js(kTokenizers.at(static_cast<size_t>(text.tokenizer)))}})},
      {"unet", object({{"inChannels", js(unet.in_channels)}, {"modelChannels", js(unet.model_channels)},
                       {"channelMultipliers", js(unet.channel_multipliers)},
                       {"contextWidth", js(unet.context_width)}, {"pooledWidth", js(unet.pooled_width)},
                       {"heads", js(unet.heads)}})},
      {"vae", object({{"channels", js(vae.channels)}, {"channelMultipliers", js(vae.channel_multipliers)},
                      {"hasEncoder", js(vae.has_encoder)}})},
      {"noise", object({{"alphasCumprod", typed<Napi::Float64Array>(model.noise.alphas_cumprod)},
                        {"origin", js(kOrigins.at(static_cast<size_t>(model.noise.origin)))},
                        {"zeroTerminalSnr", js(model.noise.zero_terminal_snr)},
                        {"trailingTimesteps", js(model.trailing_timesteps)}})},
      {"files", js(model.files)},
      {"vaeFiles", js(model.vae_files)},
      {"unusedTensors", js(model.unused_tensors)},
      {"renamed", js(model.renamed)},
  });
}

}  // namespace sdgen::addon
