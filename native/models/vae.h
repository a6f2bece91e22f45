#pragma once
#include "graph/builder.h"
#include "models/config.h"

namespace sdgen {

/// z [N, H, W, latent channels], scaled by 1/scale factor if `apply_scale`, -> picture in about [-1, 1], "vae.decoded",
/// [N, 8H, 8W, 3].
Program build_vae_decoder(const VaeConfig& config, int64_t batch, int64_t height, int64_t width, bool apply_scale = true,
                          bool keep_marks = false);

/// image [N, H, W, 3] in [-1, 1] -> "vae.moments", [N, H/8, W/8, 2·latent channels]: the mean of the latent's
/// channels, not scaled, then the logarithm of their variance. Sides must be multiples of 8 (of 2^(levels - 1)).
Program build_vae_encoder(const VaeConfig& config, int64_t batch, int64_t height, int64_t width, bool keep_marks = false);

}  // namespace sdgen
