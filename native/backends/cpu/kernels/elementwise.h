#pragma once
// Ops without a sum. Included by the levels' files only, after norm.h.
#include <cstdint>

#include "backends/cpu/kernels/narrow.h"
#include "backends/cpu/kernels/norm.h"

namespace sdgen::cpu {
namespace {

/// y[i] = of(vector at i) for vectors of `count` values.
template <typename To, typename Of>
inline void each_vector(int64_t count, To* y, Of of) {
  for (int64_t i = 0; i < count; i += F32::kLanes) store_up_to(of(i, count - i), y + i, count - i);
}

template <typename T>
void activate(Activation kind, const void* from, int64_t count, void* to) {
  alignas(64) float strip[kStrip] = {};
  const T* x = static_cast<const T*>(from);
  for (int64_t i = 0; i < count; i += kStrip) {
    load_row<kStrip>(x + i, count - i, strip);
    activate_row<T, kStrip>(kind, strip);
    store_row<kStrip>(strip, count - i, static_cast<T*>(to) + i);
  }
}

template <typename T>
void geglu(const Rows& rows, void* to) {
  alignas(64) float value[kStrip] = {}, gate[kStrip] = {};
  const T* x = static_cast<const T*>(rows.x);
  T* y = static_cast<T*>(to);
  for (int64_t row = 0; row < rows.rows; ++row, x += 2 * rows.channels, y += rows.channels) {
    for (int64_t c = 0; c < rows.channels; c += kStrip) {
      load_row<kStrip>(x + c, rows.channels - c, value);
      load_row<kStrip>(x + rows.channels + c, rows.channels - c, gate);
      gate_row<T, kStrip>(gate, value);
      store_row<kStrip>(value, rows.channels - c, y + c);
    }
  }
}

template <typename T>
void add(const void* a, const void* b, int64_t count, void* y) {
  each_vector(count, static_cast<T*>(y), [&](int64_t i, int64_t n) {
    return load_up_to(static_cast<const T*>(a) + i, n) + load_up_to(static_cast<const T*>(b) + i, n);
  });
}

template <typename T>
void scale(const void* x, float factor, int64_t count, void* y) {
  each_vector(count, static_cast<T*>(y), [&](int64_t i, int64_t n) {
    return load_up_to(static_cast<const T*>(x) + i, n) * F32::all(factor);
  });
}

template <typename T>
void from_f32(const float* x, int64_t count, void* y) {
  each_vector(count, static_cast<T*>(y), [&](int64_t i, int64_t n) { return load_up_to(x + i, n); });
}

template <typename T>
void to_f32(const void* x, int64_t count, float* y) {
  each_vector(count, y, [&](int64_t i, int64_t n) { return load_up_to(static_cast<const T*>(x) + i, n); });
}

/// All kernels of one storage type: `Product` gives the kernels of products, `How` attention's.
template <template <typename Out> class Product, typename How>
constexpr StorageKernels storage_kernels() {
  using T = typename How::Stored;
  using Same = Product<T>;
  using Narrow = NarrowConv<T>;
  return {{Same::kMaxVectors, Same::kMaxRows, Same::kBlockRows, Same::kStep, How::kQueries, How::kValueKeys, How::kValueRows},
          product<Same>, product<Product<float>>, Same::kNarrow ? Narrow::kPixels : 0, Narrow::scratch, Narrow::template run<T>,
          Narrow::template run<float>, attention_scratch<How>, attention<How>, channel_sums<T>, scale_shift<T>,
          layer_norm<T>, activate<T>, geglu<T>, add<T>, scale<T>, from_f32<T>, to_f32<T>};
}

}  // namespace
}  // namespace sdgen::cpu
