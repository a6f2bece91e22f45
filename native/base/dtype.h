#pragma once
// Element types of model files, and their conversion to float32 (all exact, F64 apart).
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

namespace sdgen {

enum class DType : uint8_t { kF64, kF32, kF16, kBF16, kI64, kI32, kI16, kI8, kU8, kBool, kF8E4M3, kF8E5M2, kU16, kU32, kU64 };

size_t dtype_size(DType type) noexcept;
/// The name safetensors uses ("F32", "BF16", "I64", …).
std::string_view dtype_name(DType type) noexcept;
std::optional<DType> dtype_from_name(std::string_view name) noexcept;
/// Whether convert_to_f32 takes it: F64, F32, F16, BF16.
bool dtype_is_float(DType type) noexcept;

float f16_to_f32(uint16_t bits) noexcept;
float bf16_to_f32(uint16_t bits) noexcept;
/// Converts `count` little-endian elements at `source` (any alignment) to float32.
void convert_to_f32(DType type, const void* source, float* destination, size_t count) noexcept;

}  // namespace sdgen
