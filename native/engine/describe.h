#pragma once
#include "engine/engine.h"
#include "models/checkpoint.h"

namespace sdgen {

/// The weights each part needs; shapes of programs do not matter for it.
struct PartWeights {
  std::vector<WeightUse> text, unet, vae;
  std::vector<WeightUse> encoder;  // of the VAE; not among `all`, since pictures from text do not need it
  std::vector<WeightUse> all() const;
};
PartWeights part_weights(const ModelConfig& config);

ModelDescription describe_model(const Checkpoint& model, const ModelConfig& config, const PartWeights& weights);

}  // namespace sdgen
