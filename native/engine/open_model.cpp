#include "engine/open_model.h"

#include "engine/weights_check.h"

namespace sdgen {

CheckedModel check_model(const OpenOptions& options) {
  Checkpoint checkpoint = open_checkpoint(options.path, options.vae, options.overrides);
  ModelConfig config = checkpoint.family->read_config(checkpoint.index, checkpoint.facts);
  config.noise = read_noise_table(checkpoint.facts, *checkpoint.store);
  PartWeights weights = part_weights(config);
  check_weights(weights.all(), checkpoint.index, options.path);
  return {std::move(checkpoint), std::move(config), std::move(weights)};
}

}  // namespace sdgen
