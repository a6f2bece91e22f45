#include "weights/safetensors_header.h"

#include <algorithm>
#include <array>
#include <optional>
#include <tuple>
#include <utility>

#include "base/checked_math.h"
#include "base/json.h"
#include "weights/byte_source.h"

namespace sdgen {
namespace {

constexpr const char* kRemedy = "; the file is truncated or damaged: download or export it again";

/// Types that the format names and DType lacks.
constexpr std::array<std::string_view, 7> kUnbuiltTypes = {"F4",   "F6_E2M3",     "F6_E3M2",    "F8_E8M0",
                                                           "C64", "F8_E4M3FNUZ", "F8_E5M2FNUZ"};

class Reader {
 public:
  Reader(uint64_t data_start, uint64_t file_bytes, const std::string& path)
      : data_start_(data_start), data_bytes_(file_bytes - data_start), path_(path) {}

  SafetensorsHeader read(std::string_view json) {
    JsonValue root;
    try {
      root = parse_json(json);
    } catch (const JsonError& error) {
      refuse(std::string("its header is not valid JSON (") + error.what() + ")");
    }
    const JsonValue::Object* members = root.as_object();
    if (members == nullptr) refuse("its header is not a JSON object");
    bool metadata_seen = false;
    header_.tensors.reserve(std::min(members->size(), kMaxTensors));
    for (const JsonMember& member : *members) {
      if (member.key != "__metadata__") {
        read_tensor(member);
      } else if (std::exchange(metadata_seen, true)) {
        refuse("it has __metadata__ twice");
      } else {
        read_metadata(member.value);
      }
    }
    check_names();
    check_layout();
    return std::move(header_);
  }

 private:
  [[noreturn]] void refuse(const std::string& what) const {
    throw file_error(ErrorCode::kModelFormat, path_, what + kRemedy);
  }
  [[noreturn]] void refuse(const std::string& name, const std::string& what) const {
    refuse("tensor \"" + shown(name) + "\" " + what);
  }

  void read_metadata(const JsonValue& value) {
    const JsonValue::Object* entries = value.as_object();
    if (entries == nullptr) refuse("its __metadata__ is not an object of texts");
    for (const JsonMember& entry : *entries) {
      const std::string* text = entry.value.as_string();
      if (text == nullptr) refuse("its __metadata__ entry \"" + shown(entry.key) + "\" is not a text");
      if (!header_.metadata.emplace(entry.key, *text).second) {
        refuse("its __metadata__ has \"" + shown(entry.key) + "\" twice");
      }
    }
  }

  void check_name(const std::string& name) const {
    if (name.size() > kMaxTensorName) {
      refuse(name, "has a name of more than " + std::to_string(kMaxTensorName) + " bytes");
    }
    if (shown(name, kMaxTensorName) != name) refuse(name, "has control characters in its name");
  }

  void read_tensor(const JsonMember& member) {
    const std::string& name = member.key;
    check_name(name);
    const JsonValue* dtype = nullptr;
    const JsonValue* shape = nullptr;
    const JsonValue* offsets = nullptr;
    const JsonValue::Object* fields = member.value.as_object();
    if (fields == nullptr) refuse(name, "is not described by an object");
    for (const JsonMember& field : *fields) {
      const JsonValue** slot = field.key == "dtype"          ? &dtype
                               : field.key == "shape"        ? &shape
                               : field.key == "data_offsets" ? &offsets
                                                             : nullptr;
      if (slot == nullptr) refuse(name, "has an unknown field \"" + shown(field.key) + "\"");
      if (*slot != nullptr) refuse(name, "has its field " + field.key + " twice");
      *slot = &field.value;
    }
    if (dtype == nullptr || shape == nullptr || offsets == nullptr) refuse(name, "lacks dtype, shape or data_offsets");

    TensorInfo tensor{name, read_dtype(name, *dtype), read_shape(name, *shape), 0, 0};
    const auto [begin, end] = read_offsets(name, *offsets);
    tensor.offset = data_start_ + begin;
    tensor.bytes = end - begin;
    check_size(tensor);
    if (header_.tensors.size() == kMaxTensors) {
      refuse("it claims more than the " + std::to_string(kMaxTensors) + " tensors allowed");
    }
    header_.tensors.push_back(std::move(tensor));
  }

  DType read_dtype(const std::string& name, const JsonValue& value) const {
    const std::string* text = value.as_string();
    if (text == nullptr) refuse(name, "has a dtype that is not a text");
    const std::optional<DType> known = dtype_from_name(*text);
    if (known) return *known;
    if (std::find(kUnbuiltTypes.begin(), kUnbuiltTypes.end(), *text) != kUnbuiltTypes.end()) {
      throw file_error(ErrorCode::kModelUnsupported, path_,
                       "tensor \"" + shown(name) + "\" has element type " + *text +
                           ", which is not built yet; use a file in F32, F16 or BF16");
    }
    refuse(name, "has the unknown dtype \"" + shown(*text, 40) + "\"");
  }

  std::vector<int64_t> read_shape(const std::string& name, const JsonValue& value) const {
    const JsonValue::Array* sizes = value.as_array();
    if (sizes == nullptr) refuse(name, "has a shape that is not an array");
    if (sizes->size() > kMaxRank) {
      refuse(name, "has " + std::to_string(sizes->size()) + " dimensions, more than " + std::to_string(kMaxRank));
    }
    std::vector<int64_t> shape;
    shape.reserve(sizes->size());
    for (const JsonValue& size : *sizes) {
      const auto* whole = std::get_if<int64_t>(&size.value);
      if (whole == nullptr || *whole < 0) refuse(name, "has a dimension that is not an integer from 0 to 2^63 - 1");
      shape.push_back(*whole);
    }
    return shape;
  }

  std::pair<uint64_t, uint64_t> read_offsets(const std::string& name, const JsonValue& value) const {
    const JsonValue::Array* pair = value.as_array();
    if (pair == nullptr || pair->size() != 2) refuse(name, "has data_offsets that are not two numbers");
    const std::optional<uint64_t> begin = (*pair)[0].as_unsigned(), end = (*pair)[1].as_unsigned();
    if (!begin || !end) refuse(name, "has data_offsets that are not integers >= 0");
    if (*begin > *end) refuse(name, "ends before it begins (data_offsets " + range(*begin, *end) + ")");
    if (*end > data_bytes_) {
      refuse(name, "lies beyond the end of the file (data_offsets " + range(*begin, *end) + ", the file has " +
                       std::to_string(data_bytes_) + " bytes of data)");
    }
    return {*begin, *end};
  }

  /// Multiplies in order, so that TensorInfo::elements() cannot overflow either.
  void check_size(const TensorInfo& tensor) const {
    std::optional<int64_t> elements = 1;
    for (const int64_t size : tensor.shape) elements = elements ? checked_multiply(*elements, size) : std::nullopt;
    std::optional<uint64_t> bytes;
    if (elements) bytes = checked_multiply<uint64_t>(static_cast<uint64_t>(*elements), dtype_size(tensor.dtype));
    if (!bytes) refuse(tensor.name, "has a shape whose product overflows");
    if (*bytes != tensor.bytes) {
      const std::string needed = std::to_string(*bytes), given = std::to_string(tensor.bytes);
      refuse(tensor.name, "needs " + needed + " bytes by its shape and dtype, but its data_offsets span " + given);
    }
  }

  void check_names() const {
    std::vector<std::string_view> names;
    names.reserve(header_.tensors.size());
    for (const TensorInfo& tensor : header_.tensors) names.push_back(tensor.name);
    std::sort(names.begin(), names.end());
    const auto twin = std::adjacent_find(names.begin(), names.end());
    if (twin != names.end()) refuse(std::string(*twin), "occurs twice");
  }

  void check_layout() {
    std::sort(header_.tensors.begin(), header_.tensors.end(), [](const TensorInfo& a, const TensorInfo& b) {
      return std::tie(a.offset, a.bytes, a.name) < std::tie(b.offset, b.bytes, b.name);
    });
    uint64_t next = data_start_;
    for (const TensorInfo& tensor : header_.tensors) {
      if (tensor.offset < next) refuse(tensor.name, "overlaps the tensor before it");
      const uint64_t hole = tensor.offset - next;
      if (hole != 0) refuse(tensor.name, "leaves a hole of " + std::to_string(hole) + " bytes before it");
      next = tensor.offset + tensor.bytes;
    }
    const uint64_t rest = data_start_ + data_bytes_ - next;
    if (rest != 0) refuse("after the last tensor come " + std::to_string(rest) + " bytes that belong to none");
  }

  static std::string range(uint64_t begin, uint64_t end) {
    return std::string("[").append(std::to_string(begin)).append(", ").append(std::to_string(end)).append("]");
  }

  uint64_t data_start_;
  uint64_t data_bytes_;
  const std::string& path_;
  SafetensorsHeader header_;
};

}  // namespace

SafetensorsHeader parse_safetensors_header(std::string_view json, uint64_t data_start, uint64_t file_bytes,
                                           const std::string& path) {
  if (data_start > file_bytes) throw file_error(ErrorCode::kInternal, path, "the header lies outside of the file");
  return Reader(data_start, file_bytes, path).read(json);
}

}  // namespace sdgen
