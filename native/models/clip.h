#pragma once
#include "graph/builder.h"
#include "models/config.h"

namespace sdgen {

/// CLIP's text tower. ids [chunks, positions] -> hidden state `clip_skip` layers from the end (1: the last), after the
/// final layer norm, [chunks, positions, width], named "text.out".
/// Where the UNet asks for pooled text and `clip_skip` is not 1 also the last layer's, "text.last".
Program build_clip_text(const TextConfig& config, int64_t chunks, int clip_skip, bool keep_marks = false);

/// pooled [rows, width] -> "text.projected" [rows, projection], for towers that have one.
Program build_text_projection(const TextConfig& config, int64_t rows);

}  // namespace sdgen
