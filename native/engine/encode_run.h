#pragma once
#include "engine/engine.h"
#include "engine/exact_retry.h"

namespace sdgen {

/// What encoding one picture of that latent size takes, its floats on the host included.
StageMemory encode_memory(const ModelRunner& runner, const VaeConfig& config, int64_t width, int64_t height, const Tiling& tiling);

/// Pictures to latents, one after the other, whole or in tiles. A picture that `runner` makes non-finite is encoded again by
/// `exact`, and the moments say so. Throws kNonFinite when that does not help, kCancelled.
Moments run_encode(ModelRunner& runner, const ExactRunner& exact, const VaeConfig& config, const EncodeRequest& request, const RunControl& control);

}  // namespace sdgen
