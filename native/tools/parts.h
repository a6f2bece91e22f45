#pragma once
#include <map>
#include <string>
#include <vector>

#include "engine/engine.h"
#include "weights/store.h"

namespace sdgen::tools {

struct EvalOptions {
  OpenOptions open;
  std::string part, inputs, output;
  std::string sampler, schedule;  // part sampler
  SamplerOptions sampler_options;
  bool start_with_signal = false;
  bool inner = false;  // write named inner activations too
};

/// Evaluate one part on the tensors of `inputs`; results in the fixtures' names and layout.
std::vector<NamedTensor> eval_text(const EvalOptions& options, const WeightStore& inputs);
std::vector<NamedTensor> eval_unet(const EvalOptions& options, const WeightStore& inputs);
std::vector<NamedTensor> eval_vae_decode(const EvalOptions& options, const WeightStore& inputs);
std::vector<NamedTensor> eval_vae_encode(const EvalOptions& options, const WeightStore& inputs);
/// A sampler over the analytic denoiser D(x, s) = x/(1+s²) + 0.1·s²/(1+s²)·tanh(x/√(1+s²)) with given noise; no model.
std::vector<NamedTensor> eval_sampler(const EvalOptions& options, const WeightStore& inputs);

}  // namespace sdgen::tools
