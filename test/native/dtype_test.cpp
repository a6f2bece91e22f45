#include "base/dtype.h"

#include <algorithm>
#include <bit>
#include <cstring>

#include "check.h"

namespace {

using sdgen::DType;

/// What a half is by definition, in float64 arithmetic: (-1)^s · 2^(e-15) · 1.m, or 2^-14 · 0.m.
double half_by_definition(uint32_t bits) {
  const uint32_t exponent = bits >> 10 & 31U, mantissa = bits & 1023U;
  double value = exponent == 0 ? mantissa / 1024.0 : 1.0 + mantissa / 1024.0;
  int power = exponent == 0 ? -14 : static_cast<int>(exponent) - 15;
  for (; power > 0; --power) value *= 2.0;
  for (; power < 0; ++power) value /= 2.0;
  return bits & 0x8000U ? -value : value;
}

}  // namespace

TEST(dtype_f16_all_patterns) {
  std::vector<uint16_t> halves(65536);
  for (size_t i = 0; i < halves.size(); ++i) halves[i] = static_cast<uint16_t>(i);
  std::vector<float> values(halves.size());
  sdgen::convert_to_f32(DType::kF16, halves.data(), values.data(), halves.size());
  for (uint32_t bits = 0; bits < 65536; ++bits) {
    const uint32_t got = std::bit_cast<uint32_t>(values[bits]);
    const auto alone = std::bit_cast<uint32_t>(sdgen::f16_to_f32(static_cast<uint16_t>(bits)));
    CHECK_MSG(got == alone, "one and many differ at " << bits);
    if ((bits & 0x7C00U) == 0x7C00U) {  // infinity, NaN: payload at the top of the mantissa
      CHECK_MSG(got == ((bits & 0x8000U) << 16 | 0x7F800000U | (bits & 1023U) << 13), "pattern " << bits);
    } else {
      const auto expected = static_cast<float>(half_by_definition(bits));
      CHECK_MSG(got == std::bit_cast<uint32_t>(expected), "pattern " << bits << " gave " << values[bits]);
    }
  }
}

TEST(dtype_f16_any_length_and_alignment) {
  std::vector<unsigned char> bytes(2 * 80 + 1);
  for (size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<unsigned char>(i * 37 + 11);
  for (size_t shift : {size_t{0}, size_t{1}}) {
    for (size_t count = 0; count <= 80; ++count) {
      std::vector<float> values(count + 1, -7.0F);
      sdgen::convert_to_f32(DType::kF16, bytes.data() + shift, values.data(), count);
      for (size_t i = 0; i < count; ++i) {
        uint16_t bits;
        std::memcpy(&bits, bytes.data() + shift + 2 * i, 2);
        const float expected = sdgen::f16_to_f32(bits);
        CHECK(std::memcmp(&values[i], &expected, 4) == 0);
      }
      CHECK(values[count] == -7.0F);
    }
  }
}

TEST(dtype_bf16_all_patterns) {
  std::vector<uint16_t> source(65536);
  for (size_t i = 0; i < source.size(); ++i) source[i] = static_cast<uint16_t>(i);
  std::vector<float> values(source.size());
  sdgen::convert_to_f32(DType::kBF16, source.data(), values.data(), source.size());
  for (uint32_t bits = 0; bits < 65536; ++bits) CHECK(std::bit_cast<uint32_t>(values[bits]) == bits << 16);
  CHECK(sdgen::bf16_to_f32(0x3F80) == 1.0F && sdgen::bf16_to_f32(0xC040) == -3.0F);
}

TEST(dtype_f32_and_f64) {
  const float singles[] = {0.0F, -0.0F, 1.5F, 0x1p-149F, 3.4e38F};
  float out[5];
  sdgen::convert_to_f32(DType::kF32, singles, out, 5);
  CHECK(std::memcmp(singles, out, sizeof out) == 0);
  const double doubles[] = {0.1, -2.5, 1e300, 0x1.0000010000001p0, 0x1p-149};
  sdgen::convert_to_f32(DType::kF64, doubles, out, 5);
  CHECK(out[0] == 0.1F && out[1] == -2.5F && std::isinf(out[2]) && out[3] == 0x1.000002p0F && out[4] == 0x1p-149F);
}

TEST(dtype_names_and_sizes) {
  const std::pair<const char*, size_t> known[] = {
      {"F64", 8}, {"F32", 4}, {"F16", 2}, {"BF16", 2}, {"I64", 8},     {"I32", 4},     {"I16", 2}, {"I8", 1},
      {"U8", 1},  {"BOOL", 1}, {"U16", 2}, {"U32", 4}, {"U64", 8}, {"F8_E4M3", 1}, {"F8_E5M2", 1}};
  int floats = 0;
  for (const auto& [name, size] : known) {
    const std::optional<DType> type = sdgen::dtype_from_name(name);
    CHECK(type.has_value());
    if (!type) continue;
    CHECK(sdgen::dtype_name(*type) == name && sdgen::dtype_size(*type) == size);
    floats += sdgen::dtype_is_float(*type) ? 1 : 0;
  }
  CHECK(floats == 4);
  for (const char* name : {"", "f32", "F", "F32 ", "I128"}) CHECK(!sdgen::dtype_from_name(name));
}
