// Ops without a sum over halves: a thread an element, computed in float32.
#include "backends/cuda/exact/activation.cuh"
#include "backends/cuda/fast/params.h"
#include "backends/cuda/ptx.h"

using namespace sdgen;
using namespace sdgen::cuda;

SDGEN_KERNEL(fast_activation, fast::ElementParams, 256, 4) {
  const int64_t i = thread_of_grid();
  if (i < p.count) p.y[i] = to_half(exact::activate(p.activation, to_float(p.a[i])));
}

SDGEN_KERNEL(fast_add, fast::ElementParams, 256, 4) {
  const int64_t i = thread_of_grid();
  if (i < p.count) p.y[i] = to_half(to_float(p.a[i]) + to_float(p.b[i]));
}

SDGEN_KERNEL(fast_scale, fast::ElementParams, 256, 4) {
  const int64_t i = thread_of_grid();
  if (i < p.count) p.y[i] = to_half(to_float(p.a[i]) * p.factor);
}

SDGEN_KERNEL(fast_store, fast::StoreParams, 256, 4) {
  const int64_t i = thread_of_grid();
  if (i >= p.count) return;
  const float x = p.f32 != nullptr ? p.f32[i] : to_float(p.f16[i]);
  if (p.y32 != nullptr) {
    p.y32[i] = x;
  } else {
    p.y16[i] = to_half(x);
  }
}

SDGEN_KERNEL(fast_concat, fast::ChannelParams, 256, 4) {
  const int64_t i = thread_of_grid();
  if (i >= p.count) return;
  const int width = p.a_channels + p.b_channels;
  const int64_t row = i / width;
  const int c = static_cast<int>(i % width);
  p.y[i] = c < p.a_channels ? p.a[row * p.a_channels + c] : p.b[row * p.b_channels + c - p.a_channels];
}

SDGEN_KERNEL(fast_geglu, fast::ChannelParams, 256, 4) {
  const int64_t i = thread_of_grid();
  if (i >= p.count) return;
  const Half* row = p.a + i / p.a_channels * 2 * p.a_channels + i % p.a_channels;
  p.y[i] = to_half(to_float(row[0]) * math::gelu_f32(to_float(row[p.a_channels])));
}

SDGEN_KERNEL(fast_resize_nearest, fast::ResizeParams, 256, 4) {
  const int64_t i = thread_of_grid();
  if (i >= p.count) return;
  const int64_t pixel = i / p.channels, line = pixel / p.out_w, image = line / p.out_h;
  const int64_t y = line % p.out_h * p.in_h / p.out_h, x = pixel % p.out_w * p.in_w / p.out_w;
  p.y[i] = p.x[((image * p.in_h + y) * p.in_w + x) * p.channels + i % p.channels];
}
