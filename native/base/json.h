#pragma once
// Strict JSON (RFC 8259) from strangers: UTF-8 is checked, depth and number of values are bounded, nothing is repaired.
#include <cstddef>
#include <cstdint>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace sdgen {

struct JsonMember;

struct JsonValue {
  using Array = std::vector<JsonValue>;
  /// In the order of the text, repeated keys included: what a repetition means is the caller's to say.
  using Object = std::vector<JsonMember>;

  /// A number written without fraction and exponent is int64_t where it fits, else uint64_t where that fits. Every
  /// other number (and "-0") is a double, correctly rounded.
  std::variant<std::nullptr_t, bool, int64_t, uint64_t, double, std::string, Array, Object> value;

  const std::string* as_string() const noexcept { return std::get_if<std::string>(&value); }
  const Array* as_array() const noexcept { return std::get_if<Array>(&value); }
  const Object* as_object() const noexcept { return std::get_if<Object>(&value); }
  /// The number, if it is an integer >= 0.
  std::optional<uint64_t> as_unsigned() const noexcept;
};

struct JsonMember {
  std::string key;
  JsonValue value;
};

struct JsonLimits {
  int depth = 32;              // arrays and objects inside one another, the outermost counting as 1
  size_t values = 2'000'000;   // of all kinds, containers included; at most ~100 bytes of memory each, strings apart
};

/// What is wrong and where ("expected ':' at byte 17"), without a file's name: the caller adds that.
class JsonError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

/// The one value that `text` holds, white space round it allowed. Throws JsonError.
JsonValue parse_json(std::string_view text, const JsonLimits& limits = {});

/// `text` (valid UTF-8) as a JSON string with its quotes.
std::string json_quote(std::string_view text);

/// Whether `text` is well-formed UTF-8: no overlong forms, no surrogates, nothing above U+10FFFF.
bool is_utf8(std::string_view text) noexcept;

}  // namespace sdgen
