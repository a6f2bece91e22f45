#include "tools/parts.h"

#include <algorithm>
#include <cstdio>

#include "backends/registry.h"
#include "base/cpu_info.h"
#include "engine/model_runner.h"
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

struct OpenModel {
  ModelConfig config;
  ModelRunner runner;
};

OpenModel open_model(const OpenOptions& options) {
  check_device(options.device, options.precision);
  CheckedModel model = check_model(options);
  // Also the layers that the family itself does not use.
  check_weights(build_clip_text(model.config.text, 1, 1).weights, model.checkpoint.index, options.path);
  auto backend = make_backend(options.device, {options.threads == 0 ? physical_cores() : options.threads, options.precision});
  return {model.config, ModelRunner(model.checkpoint.store, std::move(model.checkpoint.index), std::move(backend))};
}

std::string number(float t) {
  char text[32];
  std::snprintf(text, sizeof text, "%g", static_cast<double>(t));
  return text;
}

/// Runs a program on its uploaded inputs and takes its outputs, renamed by `rename` (empty: left out).
template <typename Rename>
void run_and_take(ModelRunner& runner, LoadedProgram& program, Rename rename, std::vector<NamedTensor>& results) {
  runner.run(program, {});
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

struct UnetInputs {
  const Tensor& x;  // NHWC data
  Tensor ctx;
  std::vector<float> t;  // one per image
  const Tensor& pooled;  // without values where the UNet asks for none
};

void run_unet(OpenModel& model, const UnetInputs& in, bool marks, const std::string& name, std::vector<NamedTensor>& results) {
  const UnetShape shape{in.x.shape[0], in.x.shape[2], in.x.shape[3], in.ctx.shape[1]};
  LoadedProgram program = model.runner.load(build_unet(model.config.unet, shape, marks), nullptr);
  program.upload("x", in.x.data.data(), static_cast<int64_t>(in.x.data.size()) * 4);
  program.upload("ctx", in.ctx.data.data(), static_cast<int64_t>(in.ctx.data.size()) * 4);
  if (model.config.unet.pooled_width > 0) {
    const Tensor pooled = first_rows(in.pooled, in.x.shape[0]);
    program.upload("pooled", pooled.data.data(), static_cast<int64_t>(pooled.data.size()) * 4);
  }
  program.upload("t", in.t.data(), static_cast<int64_t>(in.t.size()) * 4);
  run_and_take(model.runner, program, [&](const std::string& value) { return value == "unet.out" ? name : value; }, results);
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

std::vector<NamedTensor> eval_text(const EvalOptions& options, const WeightStore& inputs) {
  OpenModel model = open_model(options.open);
  const Tensor file = read_tensor(inputs, "text.ids", 2);
  std::vector<int32_t> ids;
  for (float id : file.data) {
    if (!(id >= 0) || id >= static_cast<float>(model.config.text.vocabulary)) {
      throw Error(ErrorCode::kInvalidArgument, "text.ids: a token is outside the vocabulary");
    }
    ids.push_back(static_cast<int32_t>(id));
  }
  std::vector<NamedTensor> results;
  for (int skip = 1; skip <= std::min<int64_t>(2, model.config.text.layers); ++skip) {
    LoadedProgram program = model.runner.load(build_clip_text(model.config.text, file.shape[0], skip, options.inner), nullptr);
    program.upload("ids", ids.data(), static_cast<int64_t>(ids.size()) * 4);
    run_and_take(model.runner, program, [&](const std::string& value) -> std::string {
      if (value == "text.out") return skip == 1 ? "text.last" : "text.penultimate";
      if (value == "text.hidden") return skip == 1 ? "text.last_no_norm" : "text.penultimate_no_norm";
      return skip == 1 ? value : "";
    }, results);
    if (skip > 1 || !model.config.text.pools) continue;
    LoadedProgram plain = model.runner.load(build_clip_text(model.config.text, file.shape[0], 1), nullptr);
    plain.upload("ids", ids.data(), static_cast<int64_t>(ids.size()) * 4);
    model.runner.run(plain, {});
    const std::vector<float> pooled = pool_text(model.runner, model.config.text, plain, ids, {});
    results.push_back(to_file("text.pooled", {file.shape[0], static_cast<int64_t>(pooled.size()) / file.shape[0]}, pooled));
  }
  return results;
}

std::vector<NamedTensor> eval_unet(const EvalOptions& options, const WeightStore& inputs) {
  OpenModel model = open_model(options.open);
  const Tensor x = read_picture(inputs, "unet.x"), ctx = read_tensor(inputs, "unet.ctx", 3);
  const Tensor pooled = model.config.unet.pooled_width > 0 ? read_tensor(inputs, "unet.pooled", 2) : Tensor{};
  const int64_t batch = x.shape[0];
  std::vector<NamedTensor> results;
  std::vector<float> timesteps{kInnerTimestep};
  if (inputs.find("unet.t") != nullptr) timesteps = read_tensor(inputs, "unet.t", 1).data;
  for (float t : timesteps) {
    run_unet(model, {x, first_rows(ctx, batch), repeated(t, batch), pooled}, options.inner && t == kInnerTimestep, "unet.out.t" + number(t), results);
  }
  if (inputs.find("unet.t_mixed") != nullptr) {
    const Tensor mixed = read_tensor(inputs, "unet.t_mixed", 1);
    std::string name = "unet.out.mixed_t";
    for (float t : mixed.data) name += "_" + number(t);
    run_unet(model, {x, first_rows(ctx, batch), mixed.data, pooled}, false, name, results);
  }
  for (const TensorInfo& tensor : inputs.tensors()) {
    const std::string at = "_t" + number(kInnerTimestep);
    if (tensor.name.starts_with("unet.x_")) {
      const Tensor other = read_picture(inputs, tensor.name);
      run_unet(model, {other, first_rows(ctx, other.shape[0]), repeated(kInnerTimestep, other.shape[0]), pooled}, false,
               "unet.out." + tensor.name.substr(5) + at, results);
    } else if (tensor.name.starts_with("unet.ctx") && tensor.name != "unet.ctx") {
      const Tensor other = read_tensor(inputs, tensor.name, 3), rows = first_rows(x, other.shape[0]);
      run_unet(model, {rows, other, repeated(kInnerTimestep, other.shape[0]), pooled}, false, "unet.out." + tensor.name.substr(5) + at, results);
    }
  }
  return results;
}

std::vector<NamedTensor> eval_vae_decode(const EvalOptions& options, const WeightStore& inputs) {
  OpenModel model = open_model(options.open);
  const Tensor z = read_picture(inputs, "vae.z");
  LoadedProgram program =
      model.runner.load(build_vae_decoder(model.config.vae, z.shape[0], z.shape[2], z.shape[3], false, options.inner), nullptr);
  program.upload("z", z.data.data(), static_cast<int64_t>(z.data.size()) * 4);
  std::vector<NamedTensor> results;
  run_and_take(model.runner, program, [](const std::string& value) { return value; }, results);
  return results;
}

std::vector<NamedTensor> eval_vae_encode(const EvalOptions& options, const WeightStore& inputs) {
  OpenModel model = open_model(options.open);
  const Tensor image = read_picture(inputs, "vae.image");
  const int64_t scale = model.config.vae.scale();
  if (image.shape[1] != 3 || image.shape[2] % scale != 0 || image.shape[3] % scale != 0) {
    throw Error(ErrorCode::kInvalidArgument, "vae.image: 3 channels and sides that are multiples of " + std::to_string(scale) + " are needed");
  }
  check_weights(part_weights(model.config).encoder, model.runner.index(), options.open.path);
  LoadedProgram program = model.runner.load(build_vae_encoder(model.config.vae, image.shape[0], image.shape[2], image.shape[3], options.inner), nullptr);
  program.upload("image", image.data.data(), static_cast<int64_t>(image.data.size()) * 4);
  std::vector<NamedTensor> results;
  run_and_take(model.runner, program, [](const std::string& value) { return value; }, results);
  return with_moments(std::move(results));
}

}  // namespace sdgen::tools
