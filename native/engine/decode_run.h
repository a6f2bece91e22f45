#pragma once
#include "engine/engine.h"
#include "engine/exact_retry.h"

namespace sdgen {

/// What decoding one picture of that latent size takes, its floats on the host included.
StageMemory decode_memory(const ModelRunner& runner, const VaeConfig& config, int64_t width, int64_t height, const Tiling& tiling);

/// Latents to pictures, one after the other, whole or in tiles. A picture that `runner` makes non-finite is decoded again
/// by `exact`, and says so. Throws kNonFinite when that does not help, kCancelled.
std::vector<Image> run_decode(ModelRunner& runner, const ExactRunner& exact, const VaeConfig& config, const DecodeRequest& request,
                              const RunControl& control, const std::function<void(int done)>& on_image);

}  // namespace sdgen
