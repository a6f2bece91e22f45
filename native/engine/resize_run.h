#pragma once
// A latent at another size, between two passes of sampling. Asks no backend: the bytes are the host's.
#include "engine/engine.h"
#include "sampling/latent_resize.h"

namespace sdgen {

struct ResizeRequest {
  Latent latent;
  int64_t width = 0, height = 0;
  LatentResize mode = LatentResize::kBilinear;
};

/// Throws kInvalidArgument.
Latent resize_latent(const ResizeRequest& request);

}  // namespace sdgen
