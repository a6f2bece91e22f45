#pragma once
// Small text files of a model from a stranger: read whole, within a bound.
#include <cstdint>
#include <string>

#include "base/json.h"

namespace sdgen {

/// Throws kIo (missing, not readable, not a regular file), kModelFormat for more than `most_bytes`.
std::string read_text_file(const std::string& path, uint64_t most_bytes);
/// A JSON object. Throws as read_text_file, and kModelFormat with the path and the place for what is none.
JsonValue read_json_object(const std::string& path, uint64_t most_bytes);
/// Whether there is a file or folder of that name.
bool path_exists(const std::string& path) noexcept;

/// The member of that name, or nullptr.
const JsonValue* member(const JsonValue& object, std::string_view key) noexcept;
/// Its text, or nullptr where it is absent or no string.
const std::string* text_member(const JsonValue& object, std::string_view key) noexcept;

}  // namespace sdgen
