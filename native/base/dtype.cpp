#include "base/dtype.h"

#include <cstring>

namespace sdgen {
namespace {

struct Row {
  DType type;
  std::string_view name;
  size_t size;
};
constexpr Row kRows[] = {
    {DType::kF64, "F64", 8},      {DType::kF32, "F32", 4},      {DType::kF16, "F16", 2}, {DType::kBF16, "BF16", 2},
    {DType::kI64, "I64", 8},      {DType::kI32, "I32", 4},      {DType::kI16, "I16", 2}, {DType::kI8, "I8", 1},
    {DType::kU8, "U8", 1},        {DType::kBool, "BOOL", 1},    {DType::kF8E4M3, "F8_E4M3", 1},
    {DType::kF8E5M2, "F8_E5M2", 1}, {DType::kU16, "U16", 2},    {DType::kU32, "U32", 4}, {DType::kU64, "U64", 8},
};

float bits_to_float(uint32_t bits) noexcept {
  float value;
  std::memcpy(&value, &bits, sizeof value);
  return value;
}

template <typename Element, typename Convert>
void convert_each(const void* source, float* destination, size_t count, Convert convert) noexcept {
  const auto* bytes = static_cast<const unsigned char*>(source);
  for (size_t i = 0; i < count; ++i) {
    Element element;
    std::memcpy(&element, bytes + i * sizeof element, sizeof element);
    destination[i] = convert(element);
  }
}

}  // namespace

size_t dtype_size(DType type) noexcept {
  for (const Row& row : kRows) {
    if (row.type == type) return row.size;
  }
  return 0;
}

std::string_view dtype_name(DType type) noexcept {
  for (const Row& row : kRows) {
    if (row.type == type) return row.name;
  }
  return "?";
}

std::optional<DType> dtype_from_name(std::string_view name) noexcept {
  for (const Row& row : kRows) {
    if (row.name == name) return row.type;
  }
  return std::nullopt;
}

bool dtype_is_float(DType type) noexcept {
  return type == DType::kF64 || type == DType::kF32 || type == DType::kF16 || type == DType::kBF16;
}

float f16_to_f32(uint16_t bits) noexcept {
  // Shift exponent and mantissa into place, then scale by 2^112: exact for normals and subnormals alike.
  const uint32_t magnitude = static_cast<uint32_t>(bits & 0x7fffU) << 13;
  float value = bits_to_float(magnitude) * 0x1p112f;
  if ((bits & 0x7c00U) == 0x7c00U) value = bits_to_float(magnitude | 0x7f800000U);
  uint32_t result;
  std::memcpy(&result, &value, sizeof result);
  return bits_to_float(result | static_cast<uint32_t>(bits & 0x8000U) << 16);
}

float bf16_to_f32(uint16_t bits) noexcept { return bits_to_float(static_cast<uint32_t>(bits) << 16); }

void convert_to_f32(DType type, const void* source, float* destination, size_t count) noexcept {
  switch (type) {
    case DType::kF32: std::memcpy(destination, source, count * sizeof(float)); return;
    case DType::kF16: convert_each<uint16_t>(source, destination, count, f16_to_f32); return;
    case DType::kBF16: convert_each<uint16_t>(source, destination, count, bf16_to_f32); return;
    case DType::kF64: convert_each<double>(source, destination, count, [](double v) { return static_cast<float>(v); }); return;
    default: return;
  }
}

}  // namespace sdgen
