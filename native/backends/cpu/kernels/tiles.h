#pragma once
// Products of bf16 by matrix tiles (AMX): two by two of 16 × 16 sums. Included by the one level that has them, after bf16.h
// and simd/tiles.h.
#include <cstdint>

#include "backends/cpu/kernels/bf16.h"

namespace sdgen::cpu {
namespace {

#define SDGEN_INLINE inline __attribute__((always_inline))

constexpr int kTileRows = 16;
constexpr int64_t kTileK = 32;  // values of a row that a register holds

/// Two left operands of up to 16 rows each, `stride` elements apart; `lower` counts only where the shapes have rows there.
struct TileOperands {
  const Bf16 *upper, *lower;
  int upper_rows, lower_rows;
  int64_t stride;
};

/// Work laid between instructions of tiles: none.
struct Nothing {
  void operator()() const {}
};

/// The sums of two by two tiles in registers 0 to 3: those of the upper rows, then of the lower ones. `between` is called
/// between the instructions: the processor overlaps tiles with vectors only where they alternate closely.
template <int kVectors, bool kLower>
struct TileSums {
  static constexpr int kStepGaps = kLower ? kVectors + 1 : kVectors, kMoveGaps = (kLower ? 2 : 1) * kVectors;  // calls of it

  static void clear() {
    tile_zero<0>();
    if constexpr (kVectors == 2) tile_zero<1>();
    if constexpr (kLower) tile_zero<2>();
    if constexpr (kLower && kVectors == 2) tile_zero<3>();
  }
  /// y: the lower rows follow the upper ones, `ldy` floats apart.
  template <typename Between>
  static SDGEN_INLINE void load(const float* y, const float* lower, int64_t ldy, Between&& between) {
    tile_load<0>(y, ldy * 4), between();
    if constexpr (kVectors == 2) tile_load<1>(y + 16, ldy * 4), between();
    if constexpr (kLower) tile_load<2>(lower, ldy * 4), between();
    if constexpr (kLower && kVectors == 2) tile_load<3>(lower + 16, ldy * 4), between();
  }
  template <typename Between = Nothing>
  static SDGEN_INLINE void store(float* y, float* lower, int64_t ldy, Between&& between = {}) {
    tile_store<0>(y, ldy * 4), between();
    if constexpr (kVectors == 2) tile_store<1>(y + 16, ldy * 4), between();
    if constexpr (kLower) tile_store<2>(lower, ldy * 4), between();
    if constexpr (kLower && kVectors == 2) tile_store<3>(lower + 16, ldy * 4), between();
  }

  /// += a · w over `k` values. w: [k/2][16 · kVectors][2], k filled up to a multiple of 32 with zeros; returns its end. The
  /// order within 32 values is the processor's, then ascending.
  template <typename Between = Nothing>
  static SDGEN_INLINE const Bf16* add(const TileOperands& a, const Bf16* w, int64_t k, Between&& between = {}) {
    int64_t i = 0;
    for (; i + kTileK <= k; i += kTileK) w = step(a.upper + i, a.lower + i, a.stride * 2, w, between);
    if (i == k) return w;
    // What follows the row in memory may be no number: it takes no part.
    alignas(64) Bf16 rest[2][kTileRows][kTileK] = {};
    for (int r = 0; r < a.upper_rows; ++r) __builtin_memcpy(rest[0][r], a.upper + r * a.stride + i, static_cast<size_t>(k - i) * 2);
    for (int r = 0; r < a.lower_rows; ++r) __builtin_memcpy(rest[1][r], a.lower + r * a.stride + i, static_cast<size_t>(k - i) * 2);
    return step(rest[0][0], rest[1][0], kTileK * 2, w, between);
  }

 private:
  template <typename Between>
  static SDGEN_INLINE const Bf16* step(const Bf16* upper, const Bf16* lower, int64_t stride_bytes, const Bf16* w, Between&& between) {
    constexpr int64_t kWidth = kVectors * 32;
    tile_load<4>(upper, stride_bytes);
    tile_load<6>(w, kWidth * 2);
    tile_dot<0, 4, 6>();
    between();
    if constexpr (kVectors == 2) {
      tile_load<7>(w + 32, kWidth * 2);
      tile_dot<1, 4, 7>();
      between();
    }
    if constexpr (kLower) {
      tile_load<5>(lower, stride_bytes);
      tile_dot<2, 5, 6>();
      if constexpr (kVectors == 2) tile_dot<3, 5, 7>();
      between();
    }
    return w + kTileK / 2 * kWidth;
  }
};

template <typename Out>
struct TileProduct {
  static constexpr int kMaxVectors = 2, kMaxRows = kTileRows, kStep = kTileK;
  // So many rows share what a panel's weights cost to fetch.
  static constexpr int64_t kBlockRows = kMostBlockRows;
  static constexpr bool kNarrow = false;  // a tile is quicker than vectors even where most of it is idle

  /// All of k for two by two tiles, whose sums never leave the registers, then the next rows; the panel's weights stay in the
  /// second-level cache meanwhile.
  void run(const ProductBlock& b) {
    each_panel<kMaxVectors>(b, [&](auto vectors, int64_t column) {
      for (int64_t t = 0; t < b.tile_count; t += 2) {
        t + 1 < b.tile_count ? tiles<vectors(), true>(b, b.tiles[t], b.tiles[t + 1], column)
                             : tiles<vectors(), false>(b, b.tiles[t], b.tiles[t], column);
      }
    });
  }

 private:
  template <int kVectors, bool kLower>
  void tiles(const ProductBlock& b, const Tile& upper, const Tile& lower, int64_t column) {
    constexpr int64_t kLdt = 2 * kVectors * F32::kLanes;  // a gate's sums beside its factor's
    shapes_.set(upper.rows, kLower ? lower.rows : 0);
    float *totals = b.totals, *gate = totals + kLdt / 2;
    multiply<kVectors, kLower>(b, upper, lower, column, totals, kLdt);
    if (b.geglu) multiply<kVectors, kLower>(b, upper, lower, column + b.weight.half, gate, kLdt);
    finish_tile<Bf16, Out, kVectors>(b, upper, column, totals, gate, kLdt);
    const int64_t below = upper.rows * kLdt;
    if (kLower) finish_tile<Bf16, Out, kVectors>(b, lower, column, totals + below, gate + below, kLdt);
  }
  template <int kVectors, bool kLower>
  static void multiply(const ProductBlock& b, const Tile& upper, const Tile& lower, int64_t column, float* totals, int64_t ldt) {
    using Sums = TileSums<kVectors, kLower>;
    const Bf16* a = static_cast<const Bf16*>(b.a);
    const Bf16* w = static_cast<const Bf16*>(b.weight.data) + column * b.weight.stretches * padded(b.weight.length, kTileK);
    Sums::clear();
    for (int64_t stretch = 0; stretch < b.weight.stretches; ++stretch, a += b.stretch_stride) {
      w = Sums::add({a + upper.a, a + lower.a, upper.rows, kLower ? lower.rows : 0, b.row_stride}, w, b.weight.length);
    }
    Sums::store(totals, totals + upper.rows * ldt, ldt);
  }

  TileShapes shapes_;
};

}  // namespace
}  // namespace sdgen::cpu
