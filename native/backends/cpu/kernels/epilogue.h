#pragma once
// What follows a product, each step its own rounding: bias, per-channel add, activation, residual.
#include <cstdint>

#include "backends/cpu/kernels/table.h"
#include "base/math.h"

namespace sdgen::cpu {
namespace {

/// float32 of a row's stored values and back, `n` of at most kWidth; full rows are the fast case.
template <int kWidth, typename T>
inline void load_row(const T* from, int64_t n, float* to) {
  if (n >= kWidth) {
#pragma GCC unroll 4
    for (int c = 0; c < kWidth; c += F32::kLanes) F32::load(from + c).store(to + c);
    return;
  }
  for (int64_t c = 0; c < n; c += F32::kLanes) {
    const int64_t left = n - c;
    F32::load(from + c, left < F32::kLanes ? static_cast<int>(left) : F32::kLanes).store(to + c);
  }
}
template <int kWidth, typename T>
inline void store_row(const float* from, int64_t n, T* to) {
  if (n >= kWidth) {
#pragma GCC unroll 4
    for (int c = 0; c < kWidth; c += F32::kLanes) F32::load(from + c).store(to + c);
    return;
  }
  for (int64_t c = 0; c < n; c += F32::kLanes) {
    const int64_t left = n - c;
    F32::load(from + c).store(to + c, left < F32::kLanes ? static_cast<int>(left) : F32::kLanes);
  }
}

/// Activations of what is stored as T. In float32: the formulas of base/math.h, vectorised by the compiler with the same bits.
template <typename T>
struct Activations {
  template <int kWidth>
  static void silu(float* y) {
    for (int c = 0; c < kWidth; ++c) y[c] = math::silu_f32(y[c]);
  }
  template <int kWidth>
  static void gelu(float* y) {
    for (int c = 0; c < kWidth; ++c) y[c] = math::gelu_f32(y[c]);
  }
  template <int kWidth>
  static void quick_gelu(float* y) {
    for (int c = 0; c < kWidth; ++c) y[c] = math::quick_gelu_f32(y[c]);
  }
};

/// y[c] ← activation(y[c]).
template <typename T, int kWidth>
inline void activate_row(Activation kind, float* y) {
  switch (kind) {
    case Activation::kNone: break;
    case Activation::kSilu: Activations<T>::template silu<kWidth>(y); break;
    case Activation::kGelu: Activations<T>::template gelu<kWidth>(y); break;
    case Activation::kQuickGelu: Activations<T>::template quick_gelu<kWidth>(y); break;
  }
}
/// y[c] ← y[c] · gelu(gate[c]); the gate is used up.
template <typename T, int kWidth>
inline void gate_row(float* gate, float* y) {
  Activations<T>::template gelu<kWidth>(gate);
#pragma GCC unroll 4
  for (int c = 0; c < kWidth; c += F32::kLanes) (F32::load(y + c) * F32::load(gate + c)).store(y + c);
}

template <int kWidth>
inline void add_row(const float* x, float* y) {
#pragma GCC unroll 4
  for (int c = 0; c < kWidth; c += F32::kLanes) (F32::load(y + c) + F32::load(x + c)).store(y + c);
}

/// y ← y + x for the `n` of kWidth values that are stored.
template <int kWidth, typename T>
inline void add_stored(const T* x, int64_t n, float* y) {
  if (n >= kWidth) {
#pragma GCC unroll 4
    for (int c = 0; c < kWidth; c += F32::kLanes) (F32::load(y + c) + F32::load(x + c)).store(y + c);
    return;
  }
  for (int64_t c = 0; c < n; c += F32::kLanes) {
    const int left = n - c < F32::kLanes ? static_cast<int>(n - c) : F32::kLanes;
    (F32::load(y + c) + F32::load(x + c, left)).store(y + c);
  }
}

/// The tile's columns of the panel at `column`: totals → out. `gate`: the twin's totals under GEGLU. Bias and channel_add
/// are added by whole vectors.
template <typename Storage, typename Out, int kVectors>
inline void finish_tile(const ProductBlock& b, const Tile& tile, int64_t column, float* totals, float* gates, int64_t ldt) {
  constexpr int kWidth = kVectors * F32::kLanes;
  const int64_t n = b.end - column;
  alignas(64) float rest[kWidth] = {};
  if (tile.channel_add != nullptr) load_row<kWidth>(tile.channel_add + column, n, rest);
  for (int64_t r = 0; r < tile.rows; ++r) {
    float* y = totals + r * ldt;
    if (b.bias != nullptr) add_row<kWidth>(b.bias + column, y);
    if (b.geglu) {
      float* gate = gates + r * ldt;
      if (b.bias != nullptr) add_row<kWidth>(b.bias + column + b.weight.half, gate);
      gate_row<Storage, kWidth>(gate, y);
    }
    if (tile.channel_add != nullptr) add_row<kWidth>(rest, y);
    activate_row<Storage, kWidth>(b.activation, y);
    const int64_t at = (tile.row + r) * b.out_stride + column;
    if (b.residual != nullptr) add_stored<kWidth>(static_cast<const Storage*>(b.residual) + at, n, y);
    store_row<kWidth>(y, n, static_cast<Out*>(b.out) + at);
  }
}

}  // namespace
}  // namespace sdgen::cpu
