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

/// Chunk [k, k + count) of stretch `stretch`, for the panel at `column`, into totals (from its own first column).
template <typename T, int kVectors>
void multiply_panel(const ProductBlock& b, int64_t column, int64_t stretch, int64_t k, int64_t count, float* totals, int64_t ldt) {
  const int64_t length = Dot<T>::stored(b.weight.length);
  const T* w = static_cast<const T*>(b.weight.data) + column * b.weight.stretches * length +
               (stretch * length + k) * kVectors * F32::kLanes;
  const T* a = static_cast<const T*>(b.a) + stretch * b.stretch_stride + k;
  const Start start = stretch == 0 && k == 0 ? Start::kStore : Start::kAdd;
  for (int64_t t = 0; t < b.tile_count; ++t) {
    const Tile& tile = b.tiles[t];
    multiply_rows<T, kVectors>(tile.rows, a + tile.a, b.row_stride, w, count, totals, ldt, start);
    totals += tile.rows * ldt;
  }
}

/// The chunk for one panel and, under GEGLU, for its twin; after the last chunk what follows the product.
template <typename T, typename Out, int kVectors>
void panel_step(const ProductBlock& b, int64_t column, int64_t stretch, int64_t k, int64_t count, bool last, int64_t ldt) {
  float* totals = b.totals + column - b.begin;
  multiply_panel<T, kVectors>(b, column, stretch, k, count, totals, ldt);
  if (b.geglu) multiply_panel<T, kVectors>(b, column + b.weight.half, stretch, k, count, totals + ldt / 2, ldt);
  if (last) finish_panel<T, Out, kVectors>(b, column, totals, ldt);
}

template <typename T, typename Out>
void product(const ProductBlock& b) {
  const int64_t end = padded(b.end, F32::kLanes), ldt = (end - b.begin) * (b.geglu ? 2 : 1);
  const int64_t half = b.begin < b.weight.half ? b.weight.half : b.weight.n;
  for (int64_t stretch = 0; stretch < b.weight.stretches; ++stretch) {
    for (int64_t k = 0; k < b.weight.length; k += Dot<T>::kChunkLength) {
      const int64_t left = b.weight.length - k;
      const int64_t count = left < Dot<T>::kChunkLength ? left : Dot<T>::kChunkLength;
      const bool last = stretch + 1 == b.weight.stretches && count == left;
      int64_t half_end = half;
      for (int64_t column = b.begin; column < end;) {
        if (column >= half_end) half_end = b.weight.n;
        const int64_t vectors = panel_vectors(padded(half_end - column, F32::kLanes) / F32::kLanes, kMaxVectors);
        switch (vectors) {
          case 1: panel_step<T, Out, 1>(b, column, stretch, k, count, last, ldt); break;
          case 2: panel_step<T, Out, 2>(b, column, stretch, k, count, last, ldt); break;
          default: panel_step<T, Out, kMaxVectors>(b, column, stretch, k, count, last, ldt);
        }
        column += vectors * F32::kLanes;
      }
    }
  }
}

}  // namespace
}  // namespace sdgen::cpu
