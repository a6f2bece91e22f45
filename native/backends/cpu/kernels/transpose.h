#pragma once
// Rows to columns. Included by the levels' files only, after a simd header.
#include <cstdint>

#include "backends/cpu/kernels/storage.h"

namespace sdgen::cpu {
namespace {

inline float widened(float x) { return x; }
inline float widened(Bf16 x) { return __builtin_bit_cast(float, static_cast<uint32_t>(x.bits) << 16); }

/// to[c · to_stride + r] = from[r · stride + c] for r < rows, c < columns: whole squares by the level's shuffles.
template <typename T>
inline void transpose(const T* from, int64_t stride, int64_t rows, int64_t columns, float* to, int64_t to_stride) {
  constexpr int64_t kSide = F32::kLanes;
  for (int64_t r = 0; r < rows; r += kSide) {
    for (int64_t c = 0; c < columns; c += kSide) {
      const T* square = from + r * stride + c;
      float* turned = to + c * to_stride + r;
      if (r + kSide <= rows && c + kSide <= columns) {
        F32 x[kSide];
#pragma GCC unroll 16
        for (int i = 0; i < kSide; ++i) x[i] = F32::load(square + i * stride);
        transpose_lanes(x);
#pragma GCC unroll 16
        for (int i = 0; i < kSide; ++i) x[i].store(turned + i * to_stride);
        continue;
      }
      for (int64_t i = 0; i < kSide && r + i < rows; ++i) {
        for (int64_t j = 0; j < kSide && c + j < columns; ++j) turned[j * to_stride + i] = widened(square[i * stride + j]);
      }
    }
  }
}

}  // namespace
}  // namespace sdgen::cpu
