#pragma once
// Telling a person what a file is that does not begin as a safetensors file does.
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/error.h"

namespace sdgen {

/// `start` holds the first bytes of the file (64 are enough). nullopt: nothing known.
std::optional<Error> explain_foreign_format(const std::string& path, std::string_view start);

}  // namespace sdgen
