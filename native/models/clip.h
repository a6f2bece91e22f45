#pragma once
#include "graph/builder.h"
#include "models/config.h"

namespace sdgen {

/// CLIP's text tower. ids [chunks, positions] -> hidden state `clip_skip` layers from the end (1: the last), after the
/// final layer norm, [chunks, positions, width], named "text.out".
Program build_clip_text(const TextConfig& config, int64_t chunks, int clip_skip, bool keep_marks = false);

}  // namespace sdgen
