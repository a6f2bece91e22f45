// Norms over halves, with float32 sums in an order that depends on the image alone. Variances are sums of squared distances
// from a block's own mean, put together by Chan, Golub and LeVeque's formula: x is read twice, not three times.
#include "backends/cuda/fast/params.h"
#include "backends/cuda/ptx.h"

using namespace sdgen;
using namespace sdgen::cuda;

// Block (block of pixels, channels, image), a thread a channel: of x a launch may have 2^31 blocks, of y and z 65535.
SDGEN_KERNEL(fast_group_norm_sums, fast::GroupNormParams, 64, 8) {
  const int c = static_cast<int>(blockIdx.y * blockDim.x + threadIdx.x);
  if (c >= p.channels) return;
  const int64_t first = static_cast<int64_t>(blockIdx.x) * fast::kPixelBlock, image = blockIdx.z;
  const int64_t left = p.pixels - first, pixels = left < fast::kPixelBlock ? left : fast::kPixelBlock;
  const Half* x = p.x + (image * p.pixels + first) * p.channels + c;
  float sum = 0.0f, squares = 0.0f;
  for (int64_t i = 0; i < pixels; ++i) sum += to_float(x[i * p.channels]);
  const float mean = sum / static_cast<float>(pixels);
  for (int64_t i = 0; i < pixels; ++i) {
    const float d = to_float(x[i * p.channels]) - mean;
    squares = math::fma(d, d, squares);
  }
  const int64_t at = (image * p.blocks + blockIdx.x) * p.channels + c;
  p.sums[at] = sum;
  p.squares[at] = squares;
}

namespace {

/// The sum over a block's threads, in a tree; for all.
SDGEN_DEVICE float block_sum(float value, float* shared) {
  shared[threadIdx.x] = value;
  __syncthreads();
  for (unsigned h = fast::kGroupThreads / 2; h >= 1; h /= 2) {
    if (threadIdx.x < h) shared[threadIdx.x] += shared[threadIdx.x + h];
    __syncthreads();
  }
  const float total = shared[0];
  __syncthreads();
  return total;
}

}  // namespace

// Block (group, image).
SDGEN_KERNEL(fast_group_norm_scale, fast::GroupNormParams, 256, 4) {
  float* shared = &shared_as<float>();
  const int width = p.channels / p.groups, first = static_cast<int>(blockIdx.x) * width, parts = p.blocks * width;
  const int64_t image = blockIdx.y;
  const auto place = [&](int i) { return (image * p.blocks + i / width) * p.channels + first + i % width; };
  float sum = 0.0f;
  for (int i = static_cast<int>(threadIdx.x); i < parts; i += static_cast<int>(fast::kGroupThreads)) sum += p.sums[place(i)];
  const float count = static_cast<float>(p.pixels) * static_cast<float>(width), mean = block_sum(sum, shared) / count;
  float squares = 0.0f;
  for (int i = static_cast<int>(threadIdx.x); i < parts; i += static_cast<int>(fast::kGroupThreads)) {
    const int64_t left = p.pixels - static_cast<int64_t>(i / width) * fast::kPixelBlock;
    const float n = static_cast<float>(left < fast::kPixelBlock ? left : fast::kPixelBlock), d = p.sums[place(i)] / n - mean;
    squares += math::fma(d * d, n, p.squares[place(i)]);
  }
  const float r = 1.0f / square_root(block_sum(squares, shared) / count + p.eps);
  for (int c = first + static_cast<int>(threadIdx.x); c < first + width; c += static_cast<int>(fast::kGroupThreads)) {
    const float scale = p.gain[c] * r;
    p.scale[image * p.channels + c] = scale;
    p.shift[image * p.channels + c] = math::fma(-mean, scale, p.bias[c]);
  }
}

SDGEN_KERNEL(fast_group_norm_apply, fast::GroupNormParams, 256, 4) {
  const int64_t i = thread_of_grid(), per_image = p.pixels * p.channels;
  if (i >= p.images * per_image) return;
  const int64_t at = i / per_image * p.channels + i % p.channels;
  const float y = math::fma(to_float(p.x[i]), p.scale[at], p.shift[at]);
  p.y[i] = to_half(p.silu ? math::silu_f32(y) : y);
}

namespace {

SDGEN_DEVICE float warp_sum(float sum) {
  for (int h = 16; h >= 1; h /= 2) sum += __shfl_xor_sync(0xffffffffu, sum, h);
  return sum;
}

}  // namespace

SDGEN_KERNEL(fast_layer_norm, fast::LayerNormParams, 128, 8) {
  const int64_t row = static_cast<int64_t>(blockIdx.x) * fast::kLayerNormRows + threadIdx.x / 32;
  const int lane = static_cast<int>(threadIdx.x % 32);
  if (row >= p.rows) return;  // the whole warp
  const Half* x = p.x + row * p.channels;
  const auto count = static_cast<float>(p.channels);
  float sum = 0.0f, squares = 0.0f;
  for (int c = lane; c < p.channels; c += 32) sum += to_float(x[c]);
  const float mean = warp_sum(sum) / count;
  for (int c = lane; c < p.channels; c += 32) {
    const float d = to_float(x[c]) - mean;
    squares = math::fma(d, d, squares);
  }
  const float r = 1.0f / square_root(warp_sum(squares) / count + p.eps);
  for (int c = lane; c < p.channels; c += 32) p.y[row * p.channels + c] = to_half(math::fma((to_float(x[c]) - mean) * r, p.gain[c], p.bias[c]));
}
