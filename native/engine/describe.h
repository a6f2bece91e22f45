#pragma once
#include "engine/engine.h"
#include "models/registry.h"

namespace sdgen {

/// The weights each part needs; shapes of programs do not matter for it.
struct PartWeights {
  std::vector<WeightUse> text, unet, vae;
  std::vector<WeightUse> all() const;
};
PartWeights part_weights(const ModelConfig& config);

ModelDescription describe_model(const WeightStore& store, const IdentifiedModel& model, const ModelConfig& config,
                                const PartWeights& weights);

}  // namespace sdgen
