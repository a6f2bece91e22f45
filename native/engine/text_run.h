#pragma once
// Texts to conditionings: every distinct window of tokens through the text tower once, then emphasis group by group.
#include "engine/model_runner.h"

namespace sdgen {

/// So many windows go through the tower together; more take several runs of it. The same bytes either way.
constexpr int64_t kWindowsAtOnce = 16;

/// Of each window of `ids`, which the text program has just run on, the last layer's features at its end token (the first
/// one with the highest id, as CLIP's own code finds it), projected where the tower has a projection.
std::vector<float> pool_text(ModelRunner& runner, const TextConfig& config, const LoadedProgram& program, std::span<const int32_t> ids,
                             const RunControl& control);

/// Throws kNonFinite, kCancelled.
std::vector<std::vector<Conditioning>> run_text(ModelRunner& runner, const TextConfig& config, const TextRequest& request,
                                                const RunControl& control);

}  // namespace sdgen
