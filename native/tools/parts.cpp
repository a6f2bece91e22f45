#include "tools/parts.h"

#include <algorithm>
#include <cstdio>
#include <cstring>

#include "backends/registry.h"
#include "base/cpu_info.h"
#include "engine/open_model.h"
#include "engine/request_check.h"
#include "engine/text_run.h"
#include "engine/weights_check.h"
#include "models/clip.h"
#include "models/unet.h"
#include "models/vae.h"
#include "tools/tensors.h"

namespace sdgen::tools {
namespace {

constexpr float kInnerTimestep = 500;  // the fixtures' inner activations and odd sizes are taken there

std::string number(float t) {
  char text[32];
  std::snprintf(text, sizeof text, "%g", static_cast<double>(t));
  return text;
}

template <typename T>
std::vector<unsigned char> bytes_of(const std::vector<T>& values) {
  std::vector<unsigned char> bytes(values.size() * sizeof(T));
  std::memcpy(bytes.data(), values.data(), bytes.size());
  return bytes;
}

/// Runs a program and takes its outputs, renamed by `rename` (empty: left out).
template <typename Rename>
void run_and_take(const EvalOptions& options, ModelRunner& runner, const PartRun& run, Rename rename, std::vector<NamedTensor>& results) {
  LoadedProgram program = runner.load(run.program, options.cancel);
  upload(program, run);
  runner.run(program, {options.cancel});
  for (ValueId id : program.program().outputs) {
    const Value& value = program.program().value(id);
    const std::string name = rename(value.name);
    if (name.empty()) continue;
    const VectorView view = program.vector(value.name);
    std::vector<float> data(static_cast<size_t>(view.count));
    runner.backend().download(*view.buffer, 0, data.data(), view.count * 4);
    results.push_back(value_to_file(name, value.shape, data));
  }
}

std::string as_it_is(const std::string& name) { return name; }

std::vector<int32_t> read_ids(const TextConfig& text, const Tensor& file) {
  std::vector<int32_t> ids;
  for (float id : file.data) {
    if (!(id >= 0) || id >= static_cast<float>(text.vocabulary)) {
      throw Error(ErrorCode::kInvalidArgument, "text.ids: a token is outside the vocabulary");
    }
    ids.push_back(static_cast<int32_t>(id));
  }
  return ids;
}

PartRun text_run(const ModelConfig& config, const Tensor& ids, int skip, bool marks) {
  return {build_clip_text(config.text, ids.shape[0], skip, marks), {{"ids", bytes_of(read_ids(config.text, ids))}}};
}

struct UnetInputs {
  const Tensor& x;  // NHWC data
  Tensor ctx;
  std::vector<float> t;  // one per image
  const Tensor& pooled;  // without values where the UNet asks for none
};

/// Channels `from` up to but not `to` of NHWC values.
std::vector<float> channels_of(const Tensor& x, int64_t from, int64_t to) {
  std::vector<float> part;
  for (size_t pixel = 0; pixel < x.data.size(); pixel += static_cast<size_t>(x.shape[1])) {
    const auto at = x.data.begin() + static_cast<std::ptrdiff_t>(pixel);
    part.insert(part.end(), at + from, at + to);
  }
  return part;
}

PartRun unet_run(const UnetConfig& config, const UnetInputs& in, bool marks) {
  const UnetShape shape{in.x.shape[0], in.x.shape[2], in.x.shape[3], in.ctx.shape[1]};
  PartRun run{build_unet(config, shape, marks), {{"x", bytes_of(channels_of(in.x, 0, config.out_channels))}, {"ctx", bytes_of(in.ctx.data)}, {"t", bytes_of(in.t)}}};
  if (config.further_channels() > 0) run.uploads["further"] = bytes_of(channels_of(in.x, config.out_channels, config.in_channels));
  if (config.pooled_width > 0) run.uploads["pooled"] = bytes_of(first_rows(in.pooled, in.x.shape[0]).data);
  return run;
}

Tensor read_pooled(const UnetConfig& config, const WeightStore& inputs) {
  return config.pooled_width > 0 ? read_tensor(inputs, "unet.pooled", 2) : Tensor{};
}

PartRun decode_run(const ModelConfig& config, const WeightStore& inputs, bool marks) {
  const Tensor z = read_picture(inputs, "vae.z");
  return {build_vae_decoder(config.vae, z.shape[0], z.shape[2], z.shape[3], false, marks), {{"z", bytes_of(z.data)}}};
}

PartRun encode_run(const OpenModel& model, const WeightStore& inputs, bool marks) {
  const Tensor image = read_picture(inputs, "vae.image");
  const int64_t scale = model.config.vae.scale();
  if (image.shape[1] != 3 || image.shape[2] % scale != 0 || image.shape[3] % scale != 0) {
    throw Error(ErrorCode::kInvalidArgument, "vae.image: 3 channels and sides that are multiples of " + std::to_string(scale) + " are needed");
  }
  check_weights(part_weights(model.config).encoder, model.runner.index(), model.runner.store()->path());
  return {build_vae_encoder(model.config.vae, image.shape[0], image.shape[2], image.shape[3], marks), {{"image", bytes_of(image.data)}}};
}

/// "vae.moments" [N, 2C, H, W] becomes "vae.mean" and "vae.logvar" [N, C, H, W].
std::vector<NamedTensor> with_moments(std::vector<NamedTensor> results) {
  const auto at = std::find_if(results.begin(), results.end(), [](const NamedTensor& t) { return t.name == "vae.moments"; });
  const NamedTensor moments = *at;
  results.erase(at);
  const auto images = static_cast<size_t>(moments.shape[0]);
  const size_t half = moments.data.size() / images / 2;
  NamedTensor mean{"vae.mean", moments.dtype, moments.shape, {}}, logvar{"vae.logvar", moments.dtype, moments.shape, {}};
  mean.shape[1] = logvar.shape[1] = moments.shape[1] / 2;
  for (auto from = moments.data.begin(); from != moments.data.end(); from += static_cast<std::ptrdiff_t>(2 * half)) {
    const auto middle = from + static_cast<std::ptrdiff_t>(half);
    mean.data.insert(mean.data.end(), from, middle);
    logvar.data.insert(logvar.data.end(), middle, middle + static_cast<std::ptrdiff_t>(half));
  }
  results.push_back(std::move(mean));
  results.push_back(std::move(logvar));
  return results;
}

std::vector<float> repeated(float t, int64_t count) { return std::vector<float>(static_cast<size_t>(count), t); }

}  // namespace

OpenModel open_model(const OpenOptions& options) {
  check_device(options.device, options.precision);
  CheckedModel model = check_model(options);
  // Also the layers that the family itself does not use.
  check_weights(build_clip_text(model.config.text, 1, 1).weights, model.checkpoint.index, options.path);
  auto backend = make_backend(options.device, {options.threads == 0 ? physical_cores() : options.threads, options.precision});
  return {model.config, ModelRunner(model.checkpoint.store, std::move(model.checkpoint.index), std::move(backend))};
}

void upload(LoadedProgram& program, const PartRun& run) {
  for (const auto& [name, bytes] : run.uploads) program.upload(name, bytes.data(), static_cast<int64_t>(bytes.size()));
}

PartRun first_run(const OpenModel& model, const std::string& part, const WeightStore& inputs) {
  const ModelConfig& config = model.config;
  if (part == "text") return text_run(config, read_tensor(inputs, "text.ids", 2), 1, false);
  if (part == "vae-decode") return decode_run(config, inputs, false);
  if (part == "vae-encode") return encode_run(model, inputs, false);
  if (part != "unet") throw Error(ErrorCode::kInvalidArgument, "unknown part '" + part + "'; of a model: text, unet, vae-decode, vae-encode");
  const Tensor x = read_picture(inputs, "unet.x"), pooled = read_pooled(config.unet, inputs);
  const int64_t batch = x.shape[0];
  return unet_run(config.unet, {x, first_rows(read_tensor(inputs, "unet.ctx", 3), batch), repeated(kInnerTimestep, batch), pooled}, false);
}

std::vector<NamedTensor> eval_text(const EvalOptions& options, const WeightStore& inputs) {
  OpenModel model = open_model(options.open);
  const Tensor ids = read_tensor(inputs, "text.ids", 2);
  std::vector<NamedTensor> results;
  for (int skip = 1; skip <= std::min<int64_t>(2, model.config.text.layers); ++skip) {
    run_and_take(options, model.runner, text_run(model.config, ids, skip, options.inner), [&](const std::string& value) -> std::string {
      if (value == "text.out") return skip == 1 ? "text.last" : "text.penultimate";
      if (value == "text.hidden") return skip == 1 ? "text.last_no_norm" : "text.penultimate_no_norm";
      return skip == 1 ? value : "";
    }, results);
    if (skip > 1 || !model.config.text.pools) continue;
    const PartRun plain = text_run(model.config, ids, 1, false);
    LoadedProgram program = model.runner.load(plain.program, options.cancel);
    upload(program, plain);
    model.runner.run(program, {options.cancel});
    const std::vector<float> pooled = pool_text(model.runner, model.config.text, program, read_ids(model.config.text, ids), {options.cancel});
    results.push_back(to_file("text.pooled", {ids.shape[0], static_cast<int64_t>(pooled.size()) / ids.shape[0]}, pooled));
  }
  return results;
}

std::vector<NamedTensor> eval_unet(const EvalOptions& options, const WeightStore& inputs) {
  OpenModel model = open_model(options.open);
  const Tensor x = read_picture(inputs, "unet.x"), ctx = read_tensor(inputs, "unet.ctx", 3);
  const Tensor pooled = read_pooled(model.config.unet, inputs);
  const int64_t batch = x.shape[0];
  std::vector<NamedTensor> results;
  const auto evaluate = [&](const UnetInputs& in, bool marks, const std::string& name) {
    run_and_take(options, model.runner, unet_run(model.config.unet, in, marks),
                 [&](const std::string& value) { return value == "unet.out" ? name : value; }, results);
  };
  std::vector<float> timesteps{kInnerTimestep};
  if (inputs.find("unet.t") != nullptr) timesteps = read_tensor(inputs, "unet.t", 1).data;
  for (float t : timesteps) {
    evaluate({x, first_rows(ctx, batch), repeated(t, batch), pooled}, options.inner && t == kInnerTimestep, "unet.out.t" + number(t));
  }
  if (inputs.find("unet.t_mixed") != nullptr) {
    const Tensor mixed = read_tensor(inputs, "unet.t_mixed", 1);
    std::string name = "unet.out.mixed_t";
    for (float t : mixed.data) name += "_" + number(t);
    evaluate({x, first_rows(ctx, batch), mixed.data, pooled}, false, name);
  }
  for (const TensorInfo& tensor : inputs.tensors()) {
    const std::string at = "_t" + number(kInnerTimestep);
    if (tensor.name.starts_with("unet.x_")) {
      const Tensor other = read_picture(inputs, tensor.name);
      const int64_t rows = other.shape[0];
      evaluate({other, first_rows(ctx, rows), repeated(kInnerTimestep, rows), pooled}, false, "unet.out." + tensor.name.substr(5) + at);
    } else if (tensor.name.starts_with("unet.ctx") && tensor.name != "unet.ctx") {
      const Tensor other = read_tensor(inputs, tensor.name, 3), rows = first_rows(x, other.shape[0]);
      evaluate({rows, other, repeated(kInnerTimestep, other.shape[0]), pooled}, false, "unet.out." + tensor.name.substr(5) + at);
    }
  }
  return results;
}

std::vector<NamedTensor> eval_vae_decode(const EvalOptions& options, const WeightStore& inputs) {
  OpenModel model = open_model(options.open);
  std::vector<NamedTensor> results;
  run_and_take(options, model.runner, decode_run(model.config, inputs, options.inner), as_it_is, results);
  return results;
}

std::vector<NamedTensor> eval_vae_encode(const EvalOptions& options, const WeightStore& inputs) {
  OpenModel model = open_model(options.open);
  std::vector<NamedTensor> results;
  run_and_take(options, model.runner, encode_run(model, inputs, options.inner), as_it_is, results);
  return with_moments(std::move(results));
}

void run_eval(const EvalOptions& options) {
  constexpr std::pair<const char*, std::vector<NamedTensor> (*)(const EvalOptions&, const WeightStore&)> kParts[] = {
      {"text", eval_text}, {"unet", eval_unet}, {"vae-decode", eval_vae_decode}, {"vae-encode", eval_vae_encode}, {"sampler", eval_sampler}};
  const auto part = std::find_if(std::begin(kParts), std::end(kParts), [&](const auto& known) { return options.part == known.first; });
  if (part == std::end(kParts)) {
    throw Error(ErrorCode::kInvalidArgument, "unknown part '" + options.part + "'; there are text, unet, vae-decode, vae-encode, sampler");
  }
  const auto inputs = open_safetensors(options.inputs);
  write_safetensors(options.output, part->second(options, *inputs), {});
}

}  // namespace sdgen::tools
