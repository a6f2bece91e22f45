#pragma once
// Blocks of a product: linear and conv2d alike. Included by the levels' files only, after a simd header.
#include <cstdint>
#include <type_traits>

#include "backends/cpu/kernels/epilogue.h"
#include "backends/cpu/kernels/table.h"
#include "backends/cpu/kernels/transpose.h"
#include "backends/cpu/packing.h"

namespace sdgen::cpu {
namespace {

/// Accumulators, a panel's vectors and a broadcast value fit into the registers.
constexpr int kMaxVectors = F32::kRegisters >= 32 ? 3 : 2;
constexpr int kMaxRows = F32::kRegisters >= 32 ? 9 : F32::kRegisters / 2 - 2;

enum class Start { kStore, kAdd };

/// A storage type's sums of products. Specialised for bf16 in bf16.h.
template <typename T>
struct Dot;

template <>
struct Dot<float> {
  static constexpr int64_t kChunkLength = kChunk;
  static constexpr int kStep = 1;
  /// What `length` values of a stretch take up in a packed weight.
  static int64_t stored(int64_t length) { return length; }

  /// One fma chain from +0 over `k` values per output, k ascending, stored or added to y. a: rows `stride` apart;
  /// w: [k][kVectors · lanes].
  template <int kRows, int kVectors>
  static void tile(const float* a, int64_t stride, const float* w, int64_t k, float* y, int64_t ldy, Start start) {
    F32 acc[kRows][kVectors];
#pragma GCC unroll 16
    for (int r = 0; r < kRows; ++r) {
#pragma GCC unroll 4
      for (int v = 0; v < kVectors; ++v) acc[r][v] = F32::zero();
    }
    for (int64_t i = 0; i < k; ++i, w += kVectors * F32::kLanes) {
      F32 b[kVectors];
#pragma GCC unroll 4
      for (int v = 0; v < kVectors; ++v) b[v] = F32::load(w + v * F32::kLanes);
#pragma GCC unroll 16
      for (int r = 0; r < kRows; ++r) {
        const F32 value = F32::all(a[r * stride + i]);
#pragma GCC unroll 4
        for (int v = 0; v < kVectors; ++v) acc[r][v] = fma(value, b[v], acc[r][v]);
      }
    }
#pragma GCC unroll 16
    for (int r = 0; r < kRows; ++r) {
#pragma GCC unroll 4
      for (int v = 0; v < kVectors; ++v) {
        float* total = y + r * ldy + v * F32::kLanes;
        (start == Start::kAdd ? F32::load(total) + acc[r][v] : acc[r][v]).store(total);
      }
    }
  }
};

template <typename T, int kVectors, int kRows = kMaxRows>
inline void multiply_rows(int rows, const T* a, int64_t stride, const T* w, int64_t k, float* y, int64_t ldy, Start start) {
  if constexpr (kRows > 1) {
    if (rows < kRows) return multiply_rows<T, kVectors, kRows - 1>(rows, a, stride, w, k, y, ldy, start);
  }
  Dot<T>::template tile<kRows, kVectors>(a, stride, w, k, y, ldy, start);
}

/// One chunk of k, the `count` values from `k` on of a stretch.
struct Chunk {
  int64_t stretch, k, count;
  bool first, last;
};

/// The weights of a panel's chunk; a stretch takes up `length` values.
template <typename T, int kVectors>
inline const T* panel_chunk(const Matrix& weight, int64_t length, int64_t column, const Chunk& chunk) {
  return static_cast<const T*>(weight.data) + column * weight.stretches * length +
         (chunk.stretch * length + chunk.k) * kVectors * F32::kLanes;
}

/// of(vectors of the panel, as a constant; its first column) for each of the block's panels.
template <int kMaxVectors, typename Of>
inline void each_panel(const ProductBlock& b, Of of) {
  const int64_t end = padded(b.end, F32::kLanes);
  int64_t half_end = b.begin < b.weight.half ? b.weight.half : b.weight.n;
  for (int64_t column = b.begin; column < end;) {
    if (column >= half_end) half_end = b.weight.n;
    const int64_t vectors = panel_vectors(padded(half_end - column, F32::kLanes) / F32::kLanes, kMaxVectors);
    switch (vectors) {
      case 1: of(std::integral_constant<int, 1>{}, column); break;
      case 2: of(std::integral_constant<int, 2>{}, column); break;
      default: of(std::integral_constant<int, kMaxVectors>{}, column);
    }
    column += vectors * F32::kLanes;
  }
}

/// Products by vectors: chunk by chunk, so that a chunk of the left operand stays near while all panels pass by.
template <typename T, typename Out>
struct VectorProduct {
  static constexpr int kMaxVectors = cpu::kMaxVectors, kMaxRows = cpu::kMaxRows, kStep = Dot<T>::kStep;
  static constexpr int64_t kBlockRows = kVectorBlockRows;
  static constexpr bool kNarrow = true;  // few outputs leave most lanes idle

  static void run(const ProductBlock& b) {
    for (int64_t stretch = 0; stretch < b.weight.stretches; ++stretch) {
      for (int64_t k = 0; k < b.weight.length; k += Dot<T>::kChunkLength) {
        const int64_t left = b.weight.length - k;
        const int64_t count = left < Dot<T>::kChunkLength ? left : Dot<T>::kChunkLength;
        const Chunk chunk{stretch, k, count, stretch == 0 && k == 0, stretch + 1 == b.weight.stretches && count == left};
        each_panel<kMaxVectors>(b, [&](auto vectors, int64_t column) { panel<vectors()>(b, column, chunk); });
      }
    }
  }

 private:
  /// The chunk for the panel at `column` and, under GEGLU, for its twin; each tile is finished right after its last chunk,
  /// while its totals are in the first-level cache.
  template <int kVectors>
  static void panel(const ProductBlock& b, int64_t column, const Chunk& chunk) {
    const int64_t length = Dot<T>::stored(b.weight.length), width = padded(b.end, F32::kLanes) - b.begin;
    const T* a = static_cast<const T*>(b.a) + chunk.stretch * b.stretch_stride + chunk.k;
    const T* w = panel_chunk<T, kVectors>(b.weight, length, column, chunk);
    const T* twin = b.geglu ? panel_chunk<T, kVectors>(b.weight, length, column + b.weight.half, chunk) : nullptr;
    // With one chunk all tiles share one tile of totals.
    const bool single = chunk.first && chunk.last;
    const Start start = chunk.first ? Start::kStore : Start::kAdd;
    const int64_t ldt = single ? 2 * kVectors * F32::kLanes : width * (b.geglu ? 2 : 1);
    float* totals = single ? b.totals : b.totals + (column - b.begin);
    for (int64_t t = 0; t < b.tile_count; ++t) {
      const Tile& tile = b.tiles[t];
      float* gate = totals + ldt / 2;
      multiply_rows<T, kVectors>(tile.rows, a + tile.a, b.row_stride, w, chunk.count, totals, ldt, start);
      if (b.geglu) multiply_rows<T, kVectors>(tile.rows, a + tile.a, b.row_stride, twin, chunk.count, gate, ldt, start);
      if (chunk.last) finish_tile<T, Out, kVectors>(b, tile, column, totals, gate, ldt);
      if (!single) totals += tile.rows * ldt;
    }
  }
};

template <typename Out>
using FloatProduct = VectorProduct<float, Out>;

template <typename Product>
void product(const ProductBlock& b) {
  Product().run(b);
}

}  // namespace
}  // namespace sdgen::cpu
