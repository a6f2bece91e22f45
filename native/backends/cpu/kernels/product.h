#pragma once
// Blocks of a product: linear and conv2d alike. Included by the levels' files only, after a simd header.
#include <cstdint>

#include "backends/cpu/kernels/epilogue.h"
#include "backends/cpu/kernels/table.h"
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

/// A panel's operands for one chunk and where its totals go: with one chunk all tiles share one tile of them.
template <typename T, int kVectors>
struct PanelChunk {
  const T *a, *w, *twin;  // twin: under GEGLU, of the second factor
  bool single;
  Start start;
  int64_t ldt;
  float* totals;
  PanelChunk(const ProductBlock& b, int64_t length, int64_t column, const Chunk& chunk, int64_t width)
      : a(static_cast<const T*>(b.a) + chunk.stretch * b.stretch_stride + chunk.k),
        w(panel_chunk<T, kVectors>(b.weight, length, column, chunk)),
        twin(b.geglu ? panel_chunk<T, kVectors>(b.weight, length, column + b.weight.half, chunk) : nullptr),
        single(chunk.first && chunk.last), start(chunk.first ? Start::kStore : Start::kAdd),
        ldt(single ? 2 * kVectors * F32::kLanes : width * (b.geglu ? 2 : 1)),
        totals(single ? b.totals : b.totals + (column - b.begin)) {}
};

/// Products by vectors.
template <typename T, typename Out>
struct VectorProduct {
  static constexpr int kMaxVectors = cpu::kMaxVectors, kMaxRows = cpu::kMaxRows, kStep = Dot<T>::kStep;
  static constexpr int64_t kChunkLength = Dot<T>::kChunkLength;

  /// The chunk for the panel at `column` and, under GEGLU, for its twin; each tile is finished right after its last chunk,
  /// while its totals are in the first-level cache.
  template <int kVectors>
  static void panel(const ProductBlock& b, int64_t column, const Chunk& chunk, int64_t width) {
    const PanelChunk<T, kVectors> run(b, Dot<T>::stored(b.weight.length), column, chunk, width);
    const int64_t ldt = run.ldt;
    float* totals = run.totals;
    for (int64_t t = 0; t < b.tile_count; ++t) {
      const Tile& tile = b.tiles[t];
      float* gate = totals + ldt / 2;
      multiply_rows<T, kVectors>(tile.rows, run.a + tile.a, b.row_stride, run.w, chunk.count, totals, ldt, run.start);
      if (b.geglu) multiply_rows<T, kVectors>(tile.rows, run.a + tile.a, b.row_stride, run.twin, chunk.count, gate, ldt, run.start);
      if (chunk.last) finish_tile<T, Out, kVectors>(b, tile, column, totals, gate, ldt);
      if (!run.single) totals += tile.rows * ldt;
    }
  }
};

template <typename Out>
using FloatProduct = VectorProduct<float, Out>;

/// One chunk for all the block's panels.
template <typename Product>
void all_panels(Product& product, const ProductBlock& b, const Chunk& chunk) {
  const int64_t end = padded(b.end, F32::kLanes);
  int64_t half_end = b.begin < b.weight.half ? b.weight.half : b.weight.n;
  for (int64_t column = b.begin; column < end;) {
    if (column >= half_end) half_end = b.weight.n;
    const int64_t vectors = panel_vectors(padded(half_end - column, F32::kLanes) / F32::kLanes, Product::kMaxVectors);
    switch (vectors) {
      case 1: product.template panel<1>(b, column, chunk, end - b.begin); break;
      case 2: product.template panel<2>(b, column, chunk, end - b.begin); break;
      default: product.template panel<Product::kMaxVectors>(b, column, chunk, end - b.begin);
    }
    column += vectors * F32::kLanes;
  }
}

template <typename Product>
void run_chunks(const ProductBlock& b) {
  Product product;
  for (int64_t stretch = 0; stretch < b.weight.stretches; ++stretch) {
    for (int64_t k = 0; k < b.weight.length; k += Product::kChunkLength) {
      const int64_t left = b.weight.length - k;
      const int64_t count = left < Product::kChunkLength ? left : Product::kChunkLength;
      all_panels(product, b, {stretch, k, count, stretch == 0 && k == 0, stretch + 1 == b.weight.stretches && count == left});
    }
  }
}

}  // namespace
}  // namespace sdgen::cpu
