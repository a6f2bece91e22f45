// Group norm, and layer norm with a warp a row; docs/numerics.md, section 2.
#include "backends/cuda/device_code.h"
#include "backends/cuda/exact/activation.cuh"
#include "backends/cuda/exact/params.h"

using namespace sdgen;
using namespace sdgen::cuda;

// Block (block of pixels, channels, image), a thread a channel: of x a launch may have 2^31 blocks, of y and z 65535.
SDGEN_KERNEL(exact_group_norm_sums, exact::BlockSumsParams, 64, 8) {
  const int c = static_cast<int>(blockIdx.y * blockDim.x + threadIdx.x);
  if (c >= p.channels) return;
  const int64_t first = static_cast<int64_t>(blockIdx.x) * exact::kPixelBlock, image = blockIdx.z;
  const int64_t left = p.pixels - first, pixels = left < exact::kPixelBlock ? left : exact::kPixelBlock;
  const float* x = p.x + (image * p.pixels + first) * p.channels + c;
  float sum = 0.0f;
  if (p.means == nullptr) {
    for (int64_t i = 0; i < pixels; ++i) sum += x[i * p.channels];
  } else {
    const float mean = p.means[image * p.groups + c / (p.channels / p.groups)];
    for (int64_t i = 0; i < pixels; ++i) {
      const float d = x[i * p.channels] - mean;
      sum = math::fma(d, d, sum);
    }
  }
  p.sums[(image * gridDim.x + blockIdx.x) * p.channels + c] = sum;
}

// Block (group, image).
SDGEN_KERNEL(exact_group_norm_totals, exact::GroupTotalsParams, 64, 8) {
  const int width = p.channels / p.groups, first = static_cast<int>(blockIdx.x) * width;
  const int64_t image = blockIdx.y;
  for (int c = first + static_cast<int>(threadIdx.x); c < first + width; c += static_cast<int>(blockDim.x)) {
    const float* sums = p.sums + image * p.blocks * p.channels + c;
    float total = 0.0f;
    for (int64_t b = 0; b < p.blocks; ++b) total += sums[b * p.channels];
    p.totals[image * p.channels + c] = total;
  }
  __syncthreads();
  float& result = shared_as<float>();
  if (threadIdx.x == 0) {
    float total = 0.0f;
    for (int c = first; c < first + width; ++c) total += p.totals[image * p.channels + c];
    if (p.gain == nullptr) {
      p.means[image * p.groups + blockIdx.x] = total / p.count;
    } else {
      result = 1.0f / square_root(total / p.count + p.eps);
    }
  }
  __syncthreads();
  if (p.gain == nullptr) return;
  const float mean = p.means[image * p.groups + blockIdx.x];
  for (int c = first + static_cast<int>(threadIdx.x); c < first + width; c += static_cast<int>(blockDim.x)) {
    const float scale = p.gain[c] * result;
    p.scale[image * p.channels + c] = scale;
    p.shift[image * p.channels + c] = math::fma(-mean, scale, p.bias[c]);
  }
}

SDGEN_KERNEL(exact_group_norm_apply, exact::ScaleShiftParams, 256, 4) {
  const int64_t i = thread_of_grid();
  if (i >= p.count) return;
  const int64_t at = i / p.per_image * p.channels + i % p.channels;
  const float y = math::fma(p.x[i], p.scale[at], p.shift[at]);
  p.y[i] = p.silu ? math::silu_f32(y) : y;
}

namespace {

/// The halving tree over the lanes of a warp; every lane gets the total of lane 0.
SDGEN_DEVICE float lane_tree(float sum) {
  for (int h = 16; h >= 1; h /= 2) sum += __shfl_down_sync(0xffffffffu, sum, h);
  return __shfl_sync(0xffffffffu, sum, 0);
}

}  // namespace

SDGEN_KERNEL(exact_layer_norm, exact::LayerNormParams, 128, 8) {
  const int64_t row = static_cast<int64_t>(blockIdx.x) * exact::kLayerNormRows + threadIdx.x / 32;
  const int lane = static_cast<int>(threadIdx.x % 32);
  if (row >= p.rows) return;  // the whole warp
  const float* x = p.x + row * p.channels;
  const auto count = static_cast<float>(p.channels);
  float sum = 0.0f;
  for (int c = lane; c < p.channels; c += 32) sum += x[c];
  const float mean = lane_tree(sum) / count;
  float squares = 0.0f;
  for (int c = lane; c < p.channels; c += 32) {
    const float d = x[c] - mean;
    squares = math::fma(d, d, squares);
  }
  const float r = 1.0f / square_root(lane_tree(squares) / count + p.eps);
  for (int c = lane; c < p.channels; c += 32) p.y[row * p.channels + c] = math::fma((x[c] - mean) * r, p.gain[c], p.bias[c]);
}
