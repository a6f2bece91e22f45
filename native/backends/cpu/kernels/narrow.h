#pragma once
// A convolution of few outputs, such as a decoder's last one: pixels in lanes instead of outputs, which would leave most
// lanes idle. Rows of the picture are turned once and serve all taps. Included by the levels' files only, after product.h.
#include <cstdint>

#include "backends/cpu/kernels/product.h"

namespace sdgen::cpu {
namespace {

template <typename T>
struct NarrowConv {
  static constexpr int kVectors = F32::kRegisters >= 32 ? 4 : 2;
  static constexpr int64_t kPixels = kVectors * F32::kLanes;

  /// Turned rows: [kernel][channels][plane], in which the pixels of all taps fit.
  static int64_t plane(int64_t kernel) { return padded(kPixels + kernel - 1, F32::kLanes); }
  static int64_t scratch(int64_t kernel, int64_t channels, int64_t outputs) {
    return (kernel * channels * plane(kernel) + kernel * kernel * channels * outputs) * static_cast<int64_t>(sizeof(float));
  }

  template <typename Out>
  static void run(const NarrowBlock& b) {
    switch (b.outputs) {
      case 1: return run_outputs<1, Out>(b);
      case 2: return run_outputs<2, Out>(b);
      case 3: return run_outputs<3, Out>(b);
      default: return run_outputs<4, Out>(b);
    }
  }

 private:
  template <int kOutputs, typename Out>
  static void run_outputs(const NarrowBlock& b) {
    const int64_t row_floats = b.channels * plane(b.kernel), pixels = b.pixels + b.kernel - 1;
    auto* rows = static_cast<float*>(b.scratch);
    float* weights = rows + b.kernel * row_floats;
    unpack<kOutputs>(b, weights);
    for (int64_t i = 0; i < b.kernel * row_floats; ++i) rows[i] = 0.0f;  // lanes without a pixel
    for (int64_t y = 0; y < b.kernel - 1; ++y) turn(b, y, pixels, rows + y * row_floats);
    for (int64_t y = 0; y < b.rows; ++y) {
      const int64_t newest = y + b.kernel - 1;
      turn(b, newest, pixels, rows + newest % b.kernel * row_floats);
      F32 total[kOutputs][kVectors] = {};
      for (int64_t kh = 0; kh < b.kernel; ++kh) {
        add_row<kOutputs>(b, rows + (y + kh) % b.kernel * row_floats, weights + kh * b.kernel * b.channels * kOutputs, kh == 0, total);
      }
      write<kOutputs>(b, total, static_cast<Out*>(b.out) + y * b.out_stride);
    }
  }

  /// The panel's weights as [kh][kw][channel][output].
  template <int kOutputs>
  static void unpack(const NarrowBlock& b, float* weights) {
    const int64_t width = padded(b.outputs, F32::kLanes), step = Dot<T>::kStep, length = b.weight.length;
    const T* data = static_cast<const T*>(b.weight.data);
    for (int64_t stretch = 0; stretch < b.weight.stretches; ++stretch, data += Dot<T>::stored(length) * width) {
      for (int64_t k = 0; k < length; ++k) {
        for (int64_t o = 0; o < kOutputs; ++o) *weights++ = widened(data[k / step * step * width + o * step + k % step]);
      }
    }
  }

  /// Row `y` of the picture, from its first tap on, to columns.
  static void turn(const NarrowBlock& b, int64_t y, int64_t pixels, float* columns) {
    const T* row = static_cast<const T*>(b.a) + y * b.row_stride;
    transpose(row, b.channels, pixels, b.channels, columns, plane(b.kernel));
  }

  /// One stretch of the contract's chunks for all pixels: chains of fma from +0, added to the totals in order.
  template <int kOutputs>
  static void add_row(const NarrowBlock& b, const float* columns, const float* w, bool first, F32 (*total)[kVectors]) {
    const int64_t length = b.weight.length, ld = plane(b.kernel);
    int64_t tap = 0, channel = 0;
    for (int64_t k = 0; k < length; k += kChunk) {
      F32 acc[kOutputs][kVectors];
#pragma GCC unroll 4
      for (int o = 0; o < kOutputs; ++o) {
#pragma GCC unroll 4
        for (int v = 0; v < kVectors; ++v) acc[o][v] = F32::zero();
      }
      const int64_t end = length - k < kChunk ? length : k + kChunk;
      for (int64_t i = k; i < end; ++i, w += kOutputs) {
        const float* x = columns + channel * ld + tap;
#pragma GCC unroll 4
        for (int o = 0; o < kOutputs; ++o) {
          const F32 weight = F32::all(w[o]);
#pragma GCC unroll 4
          for (int v = 0; v < kVectors; ++v) acc[o][v] = fma(F32::load(x + v * F32::kLanes), weight, acc[o][v]);
        }
        if (++channel == b.channels) channel = 0, ++tap;
      }
      const bool start = first && k == 0;
#pragma GCC unroll 4
      for (int o = 0; o < kOutputs; ++o) {
#pragma GCC unroll 4
        for (int v = 0; v < kVectors; ++v) total[o][v] = start ? acc[o][v] : total[o][v] + acc[o][v];
      }
    }
  }

  template <int kOutputs, typename Out>
  static void write(const NarrowBlock& b, const F32 (*total)[kVectors], Out* out) {
    Out values[kOutputs][kPixels];
#pragma GCC unroll 4
    for (int o = 0; o < kOutputs; ++o) {
#pragma GCC unroll 4
      for (int v = 0; v < kVectors; ++v) {
        const F32 y = b.bias != nullptr ? total[o][v] + F32::all(b.bias[o]) : total[o][v];
        y.store(values[o] + v * F32::kLanes);
      }
    }
    for (int64_t x = 0; x < b.pixels; ++x) {
      for (int o = 0; o < kOutputs; ++o) out[x * kOutputs + o] = values[o][x];
    }
  }
};

}  // namespace
}  // namespace sdgen::cpu
