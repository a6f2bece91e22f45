#pragma once
// Products of bf16 by matrix tiles (AMX): two by two of 16 × 16 sums. Included by the one level that has them, after bf16.h
// and simd/tiles.h.
#include <cstdint>

#include "backends/cpu/kernels/bf16.h"

namespace sdgen::cpu {
namespace {

constexpr int kTileRows = 16;
constexpr int64_t kTileK = 32;  // values of a row that a register holds

/// Two left operands of up to 16 rows each, `stride` elements apart; `lower` counts only where the shapes have rows there.
struct TileOperands {
  const Bf16 *upper, *lower;
  int upper_rows, lower_rows;
  int64_t stride;
};

/// y = or += a · w over `k` values: y's lower rows follow its upper ones, `ldy` floats apart. w: [k/2][16 · kVectors][2], k
/// filled up to a multiple of 32 with zeros. The order within 32 values is the processor's, then ascending.
template <int kVectors, bool kLower>
inline void multiply_tiles(const TileOperands& a, const Bf16* w, int64_t k, float* y, int64_t ldy, Start start) {
  constexpr int64_t kWidth = kVectors * 32, kWidthBytes = kWidth * 2;
  const int64_t a_bytes = a.stride * 2, y_bytes = ldy * 4;
  float* lower = y + a.upper_rows * ldy;
  if (start == Start::kAdd) {
    tile_load<0>(y, y_bytes);
    if constexpr (kVectors == 2) tile_load<1>(y + 16, y_bytes);
    if constexpr (kLower) tile_load<2>(lower, y_bytes);
    if constexpr (kLower && kVectors == 2) tile_load<3>(lower + 16, y_bytes);
  } else {
    tile_zero<0>();
    if constexpr (kVectors == 2) tile_zero<1>();
    if constexpr (kLower) tile_zero<2>();
    if constexpr (kLower && kVectors == 2) tile_zero<3>();
  }
  const auto step = [&](const Bf16* upper_rows, const Bf16* lower_rows, int64_t stride_bytes) __attribute__((always_inline)) {
    tile_load<4>(upper_rows, stride_bytes);
    tile_load<6>(w, kWidthBytes);
    tile_dot<0, 4, 6>();
    if constexpr (kVectors == 2) {
      tile_load<7>(w + 32, kWidthBytes);
      tile_dot<1, 4, 7>();
    }
    if constexpr (kLower) {
      tile_load<5>(lower_rows, stride_bytes);
      tile_dot<2, 5, 6>();
      if constexpr (kVectors == 2) tile_dot<3, 5, 7>();
    }
    w += kTileK / 2 * kWidth;
  };
  int64_t i = 0;
  for (; i + kTileK <= k; i += kTileK) step(a.upper + i, a.lower + i, a_bytes);
  if (i < k) {
    // What follows the row in memory may be no number: it takes no part.
    alignas(64) Bf16 rest[2][kTileRows][kTileK] = {};
    for (int r = 0; r < a.upper_rows; ++r) __builtin_memcpy(rest[0][r], a.upper + r * a.stride + i, static_cast<size_t>(k - i) * 2);
    for (int r = 0; r < a.lower_rows; ++r) __builtin_memcpy(rest[1][r], a.lower + r * a.stride + i, static_cast<size_t>(k - i) * 2);
    step(rest[0][0], rest[1][0], kTileK * 2);
  }
  tile_store<0>(y, y_bytes);
  if constexpr (kVectors == 2) tile_store<1>(y + 16, y_bytes);
  if constexpr (kLower) tile_store<2>(lower, y_bytes);
  if constexpr (kLower && kVectors == 2) tile_store<3>(lower + 16, y_bytes);
}

template <int kVectors>
inline void multiply_tiles(const TileOperands& a, const Bf16* w, int64_t k, float* y, int64_t ldy, Start start) {
  a.lower_rows > 0 ? multiply_tiles<kVectors, true>(a, w, k, y, ldy, start) : multiply_tiles<kVectors, false>(a, w, k, y, ldy, start);
}

template <typename Out>
struct TileProduct {
  static constexpr int kMaxVectors = 2, kMaxRows = kTileRows, kStep = kTileK;
  // A panel's chunk is 32 KiB: it stays in the first-level cache while the rows pass by.
  static constexpr int64_t kChunkLength = 512;

  /// As VectorProduct's, for two of the block's tiles at a time.
  template <int kVectors>
  void panel(const ProductBlock& b, int64_t column, const Chunk& chunk, int64_t width) {
    const PanelChunk<Bf16, kVectors> run(b, padded(b.weight.length, kTileK), column, chunk, width);
    const int64_t ldt = run.ldt;
    float* totals = run.totals;
    for (int64_t t = 0; t < b.tile_count; t += 2) {
      const Tile& upper = b.tiles[t];
      const bool both = t + 1 < b.tile_count;
      const Tile& lower = b.tiles[both ? t + 1 : t];
      const int lower_rows = both ? lower.rows : 0;
      float* gate = totals + ldt / 2;
      const TileOperands operands{run.a + upper.a, run.a + lower.a, upper.rows, lower_rows, b.row_stride};
      shapes_.set(upper.rows, lower_rows);
      multiply_tiles<kVectors>(operands, run.w, chunk.count, totals, ldt, run.start);
      if (b.geglu) multiply_tiles<kVectors>(operands, run.twin, chunk.count, gate, ldt, run.start);
      if (chunk.last) {
        finish_tile<Bf16, Out, kVectors>(b, upper, column, totals, gate, ldt);
        const int64_t below = upper.rows * ldt;
        if (both) finish_tile<Bf16, Out, kVectors>(b, lower, column, totals + below, gate + below, ldt);
      }
      if (!run.single) totals += (upper.rows + lower_rows) * ldt;
    }
  }

 private:
  TileShapes shapes_;
};

/// Attention whose two products are tiles': keys by queries, and values (a group of keys side by side) by powers.
struct TileAttention : PairedAttention<2> {
  static constexpr int kVectors = 2;
  static constexpr int kValueKeys = kKeyBlock, kValueRows = kTileRows;
  static int64_t stored(int64_t size) { return padded(size, kTileK); }

  TileAttention() { shapes_.set(kTileRows, kTileRows); }
  /// All keys of the block, those that fill it up included: their scores are not read.
  void score(const Bf16* k, int64_t, const Bf16* query, int64_t size, float* scores) {
    const int64_t length = stored(size);
    for (int64_t j = 0; j < kKeyBlock; j += 2 * kTileRows) {
      const Bf16* rows = k + j * length;
      multiply_tiles<2, true>({rows, rows + kTileRows * length, kTileRows, kTileRows, length}, query, length,
                              scores + j * kQueries, kQueries, Start::kStore);
    }
  }
  template <bool kCausal>
  void weigh(const Bf16* values, int64_t size, Bf16* powers, int64_t keys, int64_t, float* o) {
    // Keys that fill up the block weigh nothing.
    for (int64_t j = padded(keys, 2); j < kKeyBlock; j += 2) __builtin_memset(powers + j * kQueries, 0, 2 * kQueries * sizeof(Bf16));
    for (int64_t d = 0; d < size; d += 2 * kTileRows) {
      const bool both = d + kTileRows < size;
      const Bf16* rows = values + d * kKeyBlock;
      const TileOperands operands{rows, rows + (both ? kTileRows * kKeyBlock : 0), kTileRows, both ? kTileRows : 0, kKeyBlock};
      multiply_tiles<2>(operands, powers, kKeyBlock, o + d * kQueries, kQueries, Start::kAdd);
    }
  }

 private:
  TileShapes shapes_;
};

}  // namespace
}  // namespace sdgen::cpu
