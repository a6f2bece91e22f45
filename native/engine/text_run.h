#pragma once
// Texts to conditionings: every distinct window of tokens through the text tower once, then emphasis group by group.
#include "engine/model_runner.h"

namespace sdgen {

/// So many windows go through the tower together; more take several runs of it. The same bytes either way.
constexpr int64_t kWindowsAtOnce = 16;

/// Throws kNonFinite, kCancelled.
std::vector<std::vector<Conditioning>> run_text(ModelRunner& runner, const TextConfig& config, const TextRequest& request,
                                                const RunControl& control);

}  // namespace sdgen
