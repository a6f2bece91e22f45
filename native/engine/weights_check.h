#pragma once
#include <string>
#include <vector>

#include "graph/program.h"
#include "models/config.h"

namespace sdgen {

/// Checks every needed weight against the file before any is read. Throws kModelFormat that lists all missing and
/// misshapen ones with what was expected.
void check_weights(const std::vector<WeightUse>& needed, const TensorIndex& index, const std::string& path);

}  // namespace sdgen
