#pragma once
#include "engine/engine.h"
#include "engine/model_runner.h"

namespace sdgen {

/// One run of a sampler over a checked request: noise, denoiser with guidance, steps.
Latent run_sample(ModelRunner& runner, const ModelConfig& config, const SampleRequest& request, const RunControl& control,
                  const std::function<void(const StepEvent&)>& on_step);

}  // namespace sdgen
