#include "boundary/values.h"

#include <iomanip>
#include <sstream>

#include "boundary/requests.h"

namespace sdgen::boundary {

namespace {

using Fields = Value::Fields;

template <typename T>
  requires(std::is_arithmetic_v<T> && !std::is_same_v<T, bool>)
Value plain(T number) { return {static_cast<double>(number)}; }
Value plain(bool value) { return {value}; }
Value plain(const std::string& text) { return {text}; }
Value plain(const char* text) { return {std::string(text)}; }
Value plain(PredictionType type) { return plain(kPredictionTypes.at(static_cast<size_t>(type))); }
Value plain(Origin origin) { return plain(kOrigins.at(static_cast<size_t>(origin))); }

template <typename List, typename Make>
Value list(const List& items, Make make) {
  Value::List values;
  for (const auto& item : items) values.push_back(make(item));
  return {std::move(values)};
}
template <typename List>
Value list(const List& items) {
  return list(items, [](const auto& item) { return plain(item); });
}

template <typename T>
Value record(const std::map<std::string, T>& entries) {
  Fields fields;
  for (const auto& [name, value] : entries) fields.emplace_back(name, plain(value));
  return {std::move(fields)};
}

template <typename T>
Value resolved(const Resolved<T>& found, Value value) {
  return {Fields{{"value", std::move(value)}, {"origin", plain(found.origin)}}};
}
template <typename T>
Value resolved(const Resolved<T>& found) { return resolved(found, plain(found.value)); }

Value floats(const std::vector<float>& values) { return {std::span<const float>(values)}; }

Value event_value(const LoadEvent& e) { return {Fields{{"loadedBytes", plain(e.loaded)}, {"totalBytes", plain(e.total)}}}; }
Value event_value(const ImageEvent& e) { return plain(e.done); }
Value event_value(const StepEvent& e) {
  Fields fields{{"step", plain(e.step)}, {"steps", plain(e.steps)}, {"evaluations", plain(e.evaluations)}, {"sigma", plain(e.sigma)}};
  if (e.preview) fields.emplace_back("preview", to_value(*e.preview));
  return {std::move(fields)};
}

Value conditioning(const Conditioning& c) {
  Fields fields{{"data", floats(c.data)}, {"tokens", plain(c.tokens)}, {"width", plain(c.width)}};
  if (!c.pooled.empty()) fields.emplace_back("pooled", floats(c.pooled));
  return {std::move(fields)};
}

Value hash_digits(uint64_t hash) {
  std::ostringstream digits;
  digits << std::hex << std::setw(16) << std::setfill('0') << hash;
  return plain(digits.str());
}

Value part_estimate(const PartEstimate& part) {
  return {Fields{{"weightBytes", plain(part.weight_bytes)}, {"arenaBytes", plain(part.arena_bytes)},
                 {"liveBytes", plain(part.live_bytes)}, {"flops", plain(part.flops)}}};
}

}  // namespace

Value to_value(const Event& event) {
  return std::visit([](const auto& e) { return event_value(e); }, event);
}

Value to_value(const HookCall& call) {
  return {Fields{{"hook", plain(kHooks.at(static_cast<size_t>(call.hook)))}, {"step", plain(call.step)},
                 {"evaluation", plain(call.evaluation)}, {"sigma", plain(call.sigma)},
                 {"latents", list(call.latents, [](const Latent& latent) { return to_value(latent); })},
                 {"hasUncond", plain(call.has_uncond)}}};
}

Value to_value(const std::vector<OpProfile>& rows) {
  return list(rows, [](const OpProfile& row) -> Value {
    return {Fields{{"part", plain(row.part)}, {"op", plain(row.op)}, {"calls", plain(row.calls)},
                   {"seconds", plain(row.seconds)}, {"flops", plain(row.flops)}, {"bytes", plain(row.bytes)}}};
  });
}

Value to_value(const std::vector<TrailPoint>& trail) {
  return list(trail, [](const TrailPoint& point) -> Value {
    return {Fields{{"step", plain(point.step)}, {"hashes", list(point.hashes, hash_digits)}}};
  });
}

Value to_value(const std::vector<std::vector<Conditioning>>& groups) {
  return list(groups, [](const auto& group) { return list(group, conditioning); });
}

Value to_value(const Latent& l) {
  return {Fields{{"data", floats(l.data)}, {"batch", plain(l.batch)}, {"channels", plain(l.channels)},
                 {"height", plain(l.height)}, {"width", plain(l.width)}}};
}

Value to_value(const Moments& moments) {
  return {Fields{{"mean", to_value(moments.mean)}, {"logvar", to_value(moments.logvar)}, {"retriedInFp32", plain(moments.retried_in_fp32)}}};
}

Value to_value(const std::vector<Image>& images) {
  return list(images, [](const Image& image) -> Value {
    return {Fields{{"data", {std::span<const uint8_t>(image.rgb)}}, {"width", plain(image.width)},
                   {"height", plain(image.height)}, {"retriedInFp32", plain(image.retried_in_fp32)}}};
  });
}

Value to_value(const Estimate& e) {
  Fields parts{{"text", part_estimate(e.text)}, {"unet", part_estimate(e.unet)}, {"vae", part_estimate(e.vae)}, {"encoder", part_estimate(e.encoder)}};
  return {Fields{{"weightBytes", plain(e.weight_bytes)}, {"arenaBytes", plain(e.arena_bytes)},
                 {"peakBytes", plain(e.peak_bytes)}, {"parts", {std::move(parts)}}}};
}

Value to_value(const ModelDescription& model) {
  const auto& [text, unet, vae] = std::tie(model.text, model.unet, model.vae);
  Fields text_fields{{"width", plain(text.width)}, {"layers", plain(text.layers)}, {"heads", resolved(text.heads)},
                     {"vocabulary", plain(text.vocabulary)}, {"positions", plain(text.positions)},
                     {"hasClipSkip", plain(text.has_clip_skip)},
                     {"tokenizer", plain(kTokenizers.at(static_cast<size_t>(text.tokenizer)))}};
  Fields unet_fields{{"inChannels", plain(unet.in_channels)}, {"modelChannels", plain(unet.model_channels)},
                     {"channelMultipliers", list(unet.channel_multipliers)}, {"contextWidth", plain(unet.context_width)},
                     {"pooledWidth", plain(unet.pooled_width)}, {"heads", resolved(unet.heads, list(unet.heads.value))}};
  Fields vae_fields{{"channels", plain(vae.channels)}, {"channelMultipliers", list(vae.channel_multipliers)},
                    {"hasEncoder", plain(vae.has_encoder)}};
  Fields noise{{"alphasCumprod", {std::span<const double>(model.noise.alphas_cumprod)}},
               {"origin", plain(model.noise.origin)},
               {"zeroTerminalSnr", resolved(model.noise.zero_terminal_snr)},
               {"trailingTimesteps", plain(model.trailing_timesteps)}};
  return {Fields{{"path", plain(model.path)},
                 {"family", plain(model.family)},
                 {"fileBytes", plain(model.file_bytes)},
                 {"tensorCount", plain(model.tensor_count)},
                 {"dtypes", record(model.dtypes)},
                 {"parameters", record(model.parameters)},
                 {"metadata", record(model.metadata)},
                 {"predictionType", resolved(model.prediction_type)},
                 {"scaleFactor", resolved(model.scale_factor)},
                 {"latentChannels", plain(model.latent_channels)},
                 {"latentScale", plain(model.latent_scale)},
                 {"text", {std::move(text_fields)}},
                 {"unet", {std::move(unet_fields)}},
                 {"vae", {std::move(vae_fields)}},
                 {"noise", {std::move(noise)}},
                 {"files", list(model.files)},
                 {"vaeFiles", list(model.vae_files)},
                 {"unusedTensors", list(model.unused_tensors)},
                 {"renamed", record(model.renamed)}}};
}

Value to_value(const tools::Comparison& comparison) {
  Value ops = list(comparison.ops, [](const tools::ComparedOp& op) -> Value {
    return {Fields{{"index", plain(op.index)}, {"op", plain(op.op)}, {"weight", plain(op.weight)}, {"shape", plain(op.shape.text())},
                   {"sameBytes", plain(op.same_bytes)}, {"error", plain(op.error)}, {"differs", plain(op.differs)}}};
  });
  return {Fields{{"tolerance", plain(comparison.tolerance)}, {"notCompared", plain(comparison.not_compared)},
                 {"ops", std::move(ops)}, {"text", plain(comparison_text(comparison))}}};
}

Value to_value(const bench::Report& report) {
  return {Fields{{"text", plain(report_text(report))}, {"json", plain(report_json(report))}}};
}

Value to_value(const std::vector<DeviceMemory>& devices) {
  return list(devices, [](const DeviceMemory& device) -> Value {
    return {Fields{{"name", plain(device.name)}, {"freeBytes", plain(device.free)}, {"totalBytes", plain(device.total)}}};
  });
}

Value capabilities() {
  Value devices = list(device_infos(), [](const DeviceInfo& device) -> Value {
    return {Fields{{"name", plain(device.name)}, {"description", plain(device.description)},
                   {"precisions", list(device.precisions)}, {"isa", plain(device.isa)}, {"missing", plain(device.missing)}}};
  });
  return {Fields{{"version", plain(engine_version())}, {"samplers", list(sampler_ids())}, {"noiseSources", list(kNoiseSources)},
                 {"devices", std::move(devices)}, {"families", list(family_ids())}}};
}

}  // namespace sdgen::boundary
