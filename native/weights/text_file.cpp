#include "weights/text_file.h"

#include <filesystem>

#include "weights/byte_source.h"

namespace sdgen {

std::string read_text_file(const std::string& path, uint64_t most_bytes) {
  const std::unique_ptr<ByteSource> source = open_file(path);
  if (source->size() > most_bytes) {
    throw file_error(ErrorCode::kModelFormat, path, "has " + std::to_string(source->size()) + " bytes, more than the " +
                                                        std::to_string(most_bytes) + " that such a file may have");
  }
  std::string text(static_cast<size_t>(source->size()), '\0');
  source->read(0, text.data(), text.size());
  return text;
}

JsonValue read_json_object(const std::string& path, uint64_t most_bytes) {
  const std::string text = read_text_file(path, most_bytes);
  try {
    JsonValue value = parse_json(text);
    if (value.as_object() == nullptr) throw JsonError("it is not an object");
    return value;
  } catch (const JsonError& error) {
    throw file_error(ErrorCode::kModelFormat, path, std::string("is not the JSON it should be: ") + error.what());
  }
}

bool path_exists(const std::string& path) noexcept {
  std::error_code ignored;
  return std::filesystem::exists(path, ignored);
}

const JsonValue* member(const JsonValue& object, std::string_view key) noexcept {
  const JsonValue::Object* members = object.as_object();
  if (members == nullptr) return nullptr;
  for (const JsonMember& m : *members) {
    if (m.key == key) return &m.value;
  }
  return nullptr;
}

const std::string* text_member(const JsonValue& object, std::string_view key) noexcept {
  const JsonValue* value = member(object, key);
  return value == nullptr ? nullptr : value->as_string();
}

}  // namespace sdgen
