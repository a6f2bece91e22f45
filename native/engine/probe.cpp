#include "engine/probe.h"

#include <cmath>

#include "models/unet.h"

namespace sdgen {

PredictionType probe_prediction(ModelRunner& runner, const UnetConfig& config, const RunControl& control) {
  constexpr int64_t kSide = 8, kTokens = 2;
  constexpr float kFill = 0.5f, kTimestep = 999.0f;
  constexpr double kThreshold = -1;
  LoadedProgram program = runner.load(build_unet(config, {1, kSide, kSide, kTokens}), control.cancel);
  const auto fill = [&](const char* name, int64_t count) {
    const std::vector<float> values(static_cast<size_t>(count), kFill);
    program.upload(name, values.data(), count * 4);
  };
  fill("x", config.out_channels * kSide * kSide);
  if (config.further_channels() > 0) fill("further", config.further_channels() * kSide * kSide);
  fill("ctx", config.context_width * kTokens);
  if (config.pooled_width > 0) fill("pooled", config.pooled_width);
  program.upload("t", &kTimestep, sizeof kTimestep);
  runner.run(program, control);

  const VectorView out = program.vector("unet.out");
  std::vector<float> values(static_cast<size_t>(out.count));
  runner.backend().download(*out.buffer, 0, values.data(), out.count * 4);
  double sum = 0;
  for (float value : values) sum += static_cast<double>(value) - static_cast<double>(kFill);
  const double mean = sum / static_cast<double>(out.count);
  if (!std::isfinite(mean)) {
    throw Error(ErrorCode::kNonFinite, "the UNet gave a value that is not a finite number when asked what it predicts; "
                                       "state the prediction type");
  }
  return mean < kThreshold ? PredictionType::kVPrediction : PredictionType::kEpsilon;
}

}  // namespace sdgen
