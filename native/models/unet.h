#pragma once
#include "graph/builder.h"
#include "models/config.h"

namespace sdgen {

struct UnetShape {
  int64_t batch = 1, height = 8, width = 8, context_tokens = 77;
};

/// Where the config asks for pooled text also pooled [N, pooled width]; where it has further channels also
/// further [N, H, W, further channels], which are not scaled.
/// x [N, H, W, C] (already scaled by c_in), t [N], ctx [N, T, context width] -> the network's prediction "unet.out", as x.
Program build_unet(const UnetConfig& config, const UnetShape& shape, bool keep_marks = false);

}  // namespace sdgen
