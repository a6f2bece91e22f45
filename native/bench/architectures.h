#pragma once
#include <string>
#include <vector>

#include "models/config.h"

namespace sdgen::bench {

/// The dimensions of the models that everyone has. Throws kInvalidArgument with the names there are.
ModelConfig architecture(const std::string& name);
std::vector<std::string> architectures();

}  // namespace sdgen::bench
