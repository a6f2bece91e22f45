#pragma once
// One part of a model, evaluated on tensors of a file: the fixtures' names and layout in, and out.
#include <map>
#include <string>
#include <vector>

#include "engine/engine.h"
#include "engine/model_runner.h"

namespace sdgen::tools {

struct EvalOptions {
  OpenOptions open;
  std::string part, inputs, output;
  std::string sampler, schedule;  // part sampler
  SamplerOptions sampler_options;
  bool start_with_signal = false;
  bool velocity = false;  // the network gives v = 0.3·sin x + 0.2·x instead of the denoiser's noise
  bool inner = false;  // write named inner activations too
  const std::atomic<bool>* cancel = nullptr;
};

/// Evaluates options.part on the tensors of options.inputs and writes options.output. Throws kInvalidArgument for a part
/// or an input that there is none of.
void run_eval(const EvalOptions& options);

struct OpenModel {
  ModelConfig config;
  ModelRunner runner;
};
OpenModel open_model(const OpenOptions& options);

/// A program and what is to be uploaded to it, by name.
struct PartRun {
  Program program;
  std::map<std::string, std::vector<unsigned char>> uploads;
};
/// The evaluation of a part that tests begin with: all of text.ids, of vae.z or of vae.image, unet.x at t = 500.
PartRun first_run(const OpenModel& model, const std::string& part, const WeightStore& inputs);
void upload(LoadedProgram& program, const PartRun& run);

/// Evaluate one part on the tensors of `inputs`; results in the fixtures' names and layout.
std::vector<NamedTensor> eval_text(const EvalOptions& options, const WeightStore& inputs);
std::vector<NamedTensor> eval_unet(const EvalOptions& options, const WeightStore& inputs);
std::vector<NamedTensor> eval_vae_decode(const EvalOptions& options, const WeightStore& inputs);
std::vector<NamedTensor> eval_vae_encode(const EvalOptions& options, const WeightStore& inputs);
/// A sampler over the analytic denoiser D(x, s) = x/(1+s²) + 0.1·s²/(1+s²)·tanh(x/√(1+s²)) with given noise; no model.
std::vector<NamedTensor> eval_sampler(const EvalOptions& options, const WeightStore& inputs);

}  // namespace sdgen::tools
