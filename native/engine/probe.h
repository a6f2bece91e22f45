#pragma once
#include "engine/model_runner.h"

namespace sdgen {

/// Asks the network what it predicts, as the webui asks SD 2.x files that do not say: x and context 0.5 everywhere,
/// timestep 999. A prediction of v is then close to −x, far below what one of the noise gives.
PredictionType probe_prediction(ModelRunner& runner, const UnetConfig& config, const RunControl& control);

}  // namespace sdgen
