// Whatever the bytes: a JsonError, or a value that is the same after being written and parsed again.
#include <charconv>
#include <cstdint>
#include <cstdlib>
#include <string>

#include "base/json.h"

namespace {

void require(bool condition) {
  if (!condition) std::abort();
}

std::string write(const sdgen::JsonValue& value);

struct Writer {
  std::string operator()(std::nullptr_t) const { return "null"; }
  std::string operator()(bool value) const { return value ? "true" : "false"; }
  std::string operator()(int64_t value) const { return std::to_string(value); }
  std::string operator()(uint64_t value) const { return std::to_string(value); }
  std::string operator()(double value) const {
    char text[64];
    const auto [end, error] = std::to_chars(text, text + sizeof text, value);
    require(error == std::errc());
    return std::string(text, end);
  }
  std::string operator()(const std::string& text) const {
    require(sdgen::is_utf8(text));
    return sdgen::json_quote(text);
  }
  std::string operator()(const sdgen::JsonValue::Array& items) const {
    std::string out;
    for (const sdgen::JsonValue& item : items) out += (out.empty() ? "[" : ",") + write(item);
    return (items.empty() ? "[" : out) + "]";
  }
  std::string operator()(const sdgen::JsonValue::Object& members) const {
    std::string out;
    for (const sdgen::JsonMember& member : members) {
      out += (out.empty() ? "{" : ",") + (*this)(member.key) + ":" + write(member.value);
    }
    return (members.empty() ? "{" : out) + "}";
  }
};

std::string write(const sdgen::JsonValue& value) { return std::visit(Writer{}, value.value); }

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  sdgen::JsonValue value;
  try {
    value = sdgen::parse_json({reinterpret_cast<const char*>(data), size});
  } catch (const sdgen::JsonError&) {
    return 0;
  }
  const std::string text = write(value);
  require(write(sdgen::parse_json(text)) == text);
  return 0;
}
