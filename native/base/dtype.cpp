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

uint32_t float_to_bits(float value) noexcept {
  uint32_t bits;
  std::memcpy(&bits, &value, sizeof bits);
  return bits;
}

/// Exact for every pattern, payloads of NaNs included, whatever the denormal mode. All in masks: from a comparison a
/// compiler makes a branch, and then it no longer vectorises the loop.
[[gnu::always_inline]] inline float widen_f16(uint16_t bits) noexcept {
  const uint32_t magnitude = bits & 0x7fffU;
  const uint32_t not_finite = 0U - ((magnitude + 0x0400U) >> 15);  // all ones for infinities and NaNs
  const uint32_t tiny = 0U - ((magnitude - 0x0400U) >> 31);        // all ones for zeros and subnormals
  const uint32_t normal = (magnitude << 13) + (112U << 23) + (not_finite & (112U << 23));
  // A subnormal is m·2^-24: put m under the exponent of 2^-14 and take 2^-14 off again (exact; zero gives +0).
  const uint32_t subnormal = float_to_bits(bits_to_float((magnitude << 13) + (113U << 23)) - 0x1p-14f);
  return bits_to_float((subnormal & tiny) | (normal & ~tiny) | (bits & 0x8000U) << 16);
}

template <typename Element, typename Convert>
void convert_each(const unsigned char* source, float* destination, size_t count, Convert convert) noexcept {
  for (size_t i = 0; i < count; ++i) {
    Element element;
    std::memcpy(&element, source + i * sizeof element, sizeof element);
    destination[i] = convert(element);
  }
}

[[gnu::always_inline]] inline void convert_f16(const unsigned char* source, float* destination, size_t count) noexcept {
  for (size_t i = 0; i < count; ++i) {
    uint16_t bits;
    std::memcpy(&bits, source + i * sizeof bits, sizeof bits);
    destination[i] = widen_f16(bits);
  }
}

// Dispatch by hand: target_clones' ifunc resolvers run before the sanitizers' runtimes are ready.
#if defined(__x86_64__)
[[gnu::target("avx2")]] void convert_f16_avx2(const unsigned char* source, float* destination, size_t count) noexcept {
  convert_f16(source, destination, count);
}
#endif

void convert_f16_best(const unsigned char* source, float* destination, size_t count) noexcept {
#if defined(__x86_64__)
  if (__builtin_cpu_supports("avx2")) return convert_f16_avx2(source, destination, count);
#endif
  convert_f16(source, destination, count);
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

float f16_to_f32(uint16_t bits) noexcept { return widen_f16(bits); }

float bf16_to_f32(uint16_t bits) noexcept { return bits_to_float(static_cast<uint32_t>(bits) << 16); }

void convert_to_f32(DType type, const void* source, float* destination, size_t count) noexcept {
  const auto* bytes = static_cast<const unsigned char*>(source);
  switch (type) {
    case DType::kF32:
      if (count > 0) std::memcpy(destination, source, count * sizeof(float));
      return;
    case DType::kF16: convert_f16_best(bytes, destination, count); return;
    case DType::kBF16: convert_each<uint16_t>(bytes, destination, count, bf16_to_f32); return;
    case DType::kF64:
      convert_each<double>(bytes, destination, count, [](double value) { return static_cast<float>(value); });
      return;
    default: return;
  }
}

}  // namespace sdgen
