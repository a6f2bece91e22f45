#pragma once
// The norms' loops over rows of pixels or tokens. Included by the levels' files only, after epilogue.h.
#include <cstdint>

#include "backends/cpu/kernels/epilogue.h"

namespace sdgen::cpu {
namespace {

constexpr int kStripVectors = 4;
constexpr int kStrip = kStripVectors * F32::kLanes;

/// `n` lanes from p, the others +0.
template <typename T>
inline F32 load_up_to(const T* p, int64_t n) {
  return n >= F32::kLanes ? F32::load(p) : F32::load(p, static_cast<int>(n));
}
template <typename T>
inline void store_up_to(F32 x, T* p, int64_t n) {
  if (n >= F32::kLanes) return x.store(p);
  x.store(p, static_cast<int>(n));
}

/// Per channel over all rows, ascending, from +0.
template <typename T, bool kSquares, int kVectors>
inline void strip_sums(const T* x, int64_t rows, int64_t channels, const float* means, float* sums, int64_t n) {
  F32 acc[kVectors], mean[kVectors];
#pragma GCC unroll 4
  for (int v = 0; v < kVectors; ++v) {
    acc[v] = F32::zero();
    mean[v] = kSquares ? load_up_to(means + v * F32::kLanes, n - v * F32::kLanes) : F32::zero();
  }
  for (int64_t row = 0; row < rows; ++row, x += channels) {
#pragma GCC unroll 4
    for (int v = 0; v < kVectors; ++v) {
      const F32 value = kVectors > 1 ? F32::load(x + v * F32::kLanes) : load_up_to(x, n);
      if constexpr (kSquares) {
        const F32 d = value - mean[v];
        acc[v] = fma(d, d, acc[v]);
      } else {
        acc[v] = acc[v] + value;
      }
    }
  }
#pragma GCC unroll 4
  for (int v = 0; v < kVectors; ++v) store_up_to(acc[v], sums + v * F32::kLanes, n - v * F32::kLanes);
}

template <typename T, bool kSquares>
inline void sums_of(const Rows& rows, const float* means, float* sums) {
  const T* x = static_cast<const T*>(rows.x);
  int64_t c = 0;
  for (; c + kStrip <= rows.channels; c += kStrip) {
    strip_sums<T, kSquares, kStripVectors>(x + c, rows.rows, rows.channels, kSquares ? means + c : nullptr, sums + c, kStrip);
  }
  for (; c < rows.channels; c += F32::kLanes) {
    strip_sums<T, kSquares, 1>(x + c, rows.rows, rows.channels, kSquares ? means + c : nullptr, sums + c, rows.channels - c);
  }
}

template <typename T>
void channel_sums(const Rows& rows, const float* means, float* sums) {
  if (means == nullptr) return sums_of<T, false>(rows, nullptr, sums);
  sums_of<T, true>(rows, means, sums);
}

template <typename T, bool kSilu>
inline void scale_shift_rows(const Rows& rows, const float* scale, const float* shift, T* y) {
  alignas(64) float strip[kStrip];
  const T* x = static_cast<const T*>(rows.x);
  for (int64_t row = 0; row < rows.rows; ++row) {
    for (int64_t c = 0; c < rows.channels; c += kStrip, x += kStrip, y += kStrip) {
      const int64_t n = rows.channels - c;
#pragma GCC unroll 4
      for (int v = 0; v < kStripVectors; ++v) {
        const int64_t at = v * F32::kLanes;
        if (n <= at) break;
        fma(load_up_to(x + at, n - at), load_up_to(scale + c + at, n - at), load_up_to(shift + c + at, n - at)).store(strip + at);
      }
      if constexpr (kSilu) activate_row<T, kStrip>(Activation::kSilu, strip);
      store_row<kStrip>(strip, n, y);
    }
    // The strips' steps may have passed the row's end.
    x = static_cast<const T*>(rows.x) + (row + 1) * rows.channels;
    y += rows.channels - (rows.channels + kStrip - 1) / kStrip * kStrip;
  }
}

template <typename T>
void scale_shift(const Rows& rows, const float* scale, const float* shift, bool silu, void* y) {
  if (silu) return scale_shift_rows<T, true>(rows, scale, shift, static_cast<T*>(y));
  scale_shift_rows<T, false>(rows, scale, shift, static_cast<T*>(y));
}

constexpr int kNormLanes = 32;
constexpr int kNormVectors = kNormLanes / F32::kLanes;

/// Channel c into lane c mod 32, then the halving tree. `add(lane value, channel value)`.
template <typename T, typename Add>
inline float lane_total(const T* x, int64_t count, Add add) {
  F32 acc[kNormVectors];
#pragma GCC unroll 8
  for (int v = 0; v < kNormVectors; ++v) acc[v] = F32::zero();
  int64_t c = 0;
  for (; c + kNormLanes <= count; c += kNormLanes) {
#pragma GCC unroll 8
    for (int v = 0; v < kNormVectors; ++v) acc[v] = add(acc[v], F32::load(x + c + v * F32::kLanes));
  }
#pragma GCC unroll 8
  for (int v = 0; v < kNormVectors; ++v) {
    const int64_t at = c + v * F32::kLanes, n = count - at;
    if (n <= 0) break;
    const F32 next = add(acc[v], load_up_to(x + at, n));
    acc[v] = n >= F32::kLanes ? next : from_lane(n, acc[v], next);  // absent channels are not added
  }
  alignas(64) float lanes[kNormLanes];
#pragma GCC unroll 8
  for (int v = 0; v < kNormVectors; ++v) acc[v].store(lanes + v * F32::kLanes);
  for (int h = kNormLanes / 2; h >= 1; h /= 2) {
    for (int i = 0; i < h; ++i) lanes[i] = lanes[i] + lanes[i + h];
  }
  return lanes[0];
}

template <typename T>
void layer_norm(const Rows& rows, float eps, const float* gain, const float* bias, void* out) {
  const auto count = static_cast<float>(rows.channels);
  const T* x = static_cast<const T*>(rows.x);
  T* y = static_cast<T*>(out);
  for (int64_t row = 0; row < rows.rows; ++row, x += rows.channels, y += rows.channels) {
    const float mean = lane_total(x, rows.channels, [](F32 sum, F32 value) { return sum + value; }) / count;
    const F32 means = F32::all(mean);
    const float squares = lane_total(x, rows.channels, [means](F32 sum, F32 value) {
      const F32 d = value - means;
      return fma(d, d, sum);
    });
    const F32 r = F32::all(1.0f / __builtin_sqrtf(squares / count + eps));
    for (int64_t c = 0; c < rows.channels; c += F32::kLanes) {
      const int64_t n = rows.channels - c;
      const F32 scaled = (load_up_to(x + c, n) - means) * r;
      store_up_to(fma(scaled, load_up_to(gain + c, n), load_up_to(bias + c, n)), y + c, n);
    }
  }
}

}  // namespace
}  // namespace sdgen::cpu
