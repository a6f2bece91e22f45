#pragma once
// AMX: eight registers of up to 16 rows of 64 bytes. Included by one level's file only, after simd/avx512.h.
#include <cstdint>

#include "backends/cpu/kernels/storage.h"

namespace sdgen::cpu {
namespace {

/// Registers' numbers are part of the instruction. The memory clobber keeps the compiler from moving ordinary loads and
/// stores past these, which GCC's own intrinsics do not.
template <int kTile>
inline void tile_load(const void* rows, int64_t stride_bytes) {
  asm volatile("tileloadd (%0,%1,1), %%tmm%c2" ::"r"(rows), "r"(stride_bytes), "i"(kTile) : "memory");
}
template <int kTile>
inline void tile_store(void* rows, int64_t stride_bytes) {
  asm volatile("tilestored %%tmm%c2, (%0,%1,1)" ::"r"(rows), "r"(stride_bytes), "i"(kTile) : "memory");
}
template <int kTile>
inline void tile_zero() {
  asm volatile("tilezero %%tmm%c0" ::"i"(kTile));
}
/// sum += a · b: rows of bf16 pairs by rows of pairs, products and sums in float32.
template <int kSum, int kA, int kB>
inline void tile_dot() {
  asm volatile("tdpbf16ps %%tmm%c2, %%tmm%c1, %%tmm%c0" ::"i"(kSum), "i"(kA), "i"(kB));
}

/// The shapes of a two by two product while it lives: sums 0, 1 (upper rows) and 2, 3 (lower), left operands 4 and 5,
/// right ones 6 and 7. Setting a shape clears all registers.
class TileShapes {
 public:
  TileShapes() = default;
  TileShapes(const TileShapes&) = delete;
  TileShapes& operator=(const TileShapes&) = delete;
  ~TileShapes() {
    if (upper_ >= 0) asm volatile("tilerelease");
  }
  /// Where there are no lower rows they may have any shape: nothing touches them.
  void set(int upper, int lower) {
    if (upper == upper_ && (lower == lower_ || lower == 0)) return;
    upper_ = upper;
    lower_ = lower > 0 ? lower : 16;
    struct alignas(64) {
      uint8_t palette = 1, start_row = 0, reserved[14] = {};
      uint16_t row_bytes[16] = {};
      uint8_t rows[16] = {};
    } shape;
    const int rows[8] = {upper_, upper_, lower_, lower_, upper_, lower_, 16, 16};
    for (int i = 0; i < 8; ++i) {
      shape.rows[i] = static_cast<uint8_t>(rows[i]);
      shape.row_bytes[i] = 64;
    }
    asm volatile("ldtilecfg %0" ::"m"(shape));
  }

 private:
  int upper_ = -1, lower_ = -1;
};

}  // namespace
}  // namespace sdgen::cpu
