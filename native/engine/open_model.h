#pragma once
// From paths to a checked model: tensors named, dimensions and facts read, every needed weight there. Reads no weight.
#include "engine/describe.h"

namespace sdgen {

struct CheckedModel {
  Checkpoint checkpoint;
  ModelConfig config;
  PartWeights weights;
};

/// Throws kIo, kModelFormat, kModelUnsupported, kInvalidArgument (overrides).
CheckedModel check_model(const OpenOptions& options);

}  // namespace sdgen
