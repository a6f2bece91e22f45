#pragma once
#include "graph/builder.h"
#include "models/config.h"

namespace sdgen {

/// z [N, H, W, latent channels], scaled by 1/scale factor if `apply_scale`, -> picture in about [-1, 1], "vae.decoded",
/// [N, 8H, 8W, 3].
Program build_vae_decoder(const VaeConfig& config, int64_t batch, int64_t height, int64_t width, bool apply_scale = true,
                          bool keep_marks = false);

}  // namespace sdgen
