// Ops without a sum: a thread an element.
#include "backends/cuda/device_code.h"
#include "backends/cuda/exact/activation.cuh"
#include "backends/cuda/exact/params.h"

using namespace sdgen;
using namespace sdgen::cuda;

SDGEN_KERNEL(exact_activation, exact::ElementParams, 256, 4) {
  const int64_t i = thread_of_grid();
  if (i < p.count) p.y[i] = exact::activate(p.activation, p.a[i]);
}

SDGEN_KERNEL(exact_add, exact::ElementParams, 256, 4) {
  const int64_t i = thread_of_grid();
  if (i < p.count) p.y[i] = p.a[i] + p.b[i];
}

SDGEN_KERNEL(exact_scale, exact::ElementParams, 256, 4) {
  const int64_t i = thread_of_grid();
  if (i < p.count) p.y[i] = p.a[i] * p.factor;
}

SDGEN_KERNEL(exact_concat, exact::ChannelParams, 256, 4) {
  const int64_t i = thread_of_grid();
  if (i >= p.count) return;
  const int width = p.a_channels + p.b_channels;
  const int64_t row = i / width;
  const int c = static_cast<int>(i % width);
  p.y[i] = c < p.a_channels ? p.a[row * p.a_channels + c] : p.b[row * p.b_channels + c - p.a_channels];
}

SDGEN_KERNEL(exact_geglu, exact::ChannelParams, 256, 4) {
  const int64_t i = thread_of_grid();
  if (i >= p.count) return;
  const float* row = p.a + i / p.a_channels * 2 * p.a_channels + i % p.a_channels;
  p.y[i] = row[0] * math::gelu_f32(row[p.a_channels]);
}

SDGEN_KERNEL(exact_resize_nearest, exact::ResizeParams, 256, 4) {
  const int64_t i = thread_of_grid();
  if (i >= p.count) return;
  const int64_t pixel = i / p.channels, line = pixel / p.out_w, image = line / p.out_h;
  const int64_t y = line % p.out_h * p.in_h / p.out_h, x = pixel % p.out_w * p.in_w / p.out_w;
  p.y[i] = p.x[((image * p.in_h + y) * p.in_w + x) * p.channels + i % p.channels];
}

SDGEN_KERNEL(exact_token_embedding, exact::TokenParams, 256, 4) {
  const int64_t i = thread_of_grid();
  if (i >= p.count) return;
  const int64_t row = i / p.width, c = i % p.width;
  p.y[i] = p.token[static_cast<int64_t>(p.ids[row]) * p.width + c] + p.position[row % p.tokens * p.width + c];
}

SDGEN_KERNEL(exact_timestep_embedding, exact::TimestepParams, 256, 1) {
  constexpr double kLn10000 = 0x1.26bb1bbb55516p+3;
  const int64_t at = thread_of_grid();
  if (at >= p.count) return;
  const int64_t image = at / p.half, i = at % p.half;
  const auto f = static_cast<float>(math::exp_f64(-kLn10000 * static_cast<double>(i) / static_cast<double>(p.half)));
  const float argument = p.t[image] * f;
  float* y = p.y + image * 2 * p.half + i;
  y[0] = static_cast<float>(math::cos_f64(argument));
  y[p.half] = static_cast<float>(math::sin_f64(argument));
}
