#include <algorithm>
#include <cmath>
#include <vector>

#include "backends/host/clones.h"
#include "backends/reference/task.h"
#include "base/math.h"

namespace sdgen::reference {
namespace {

constexpr int64_t kPixelBlock = 128;
constexpr int64_t kLanes = 32;

SDGEN_CLONES void block_sums(const float* x, int64_t pixels, int64_t channels, float* sums) {
  for (int64_t c = 0; c < channels; ++c) sums[c] = 0.0f;
  for (int64_t p = 0; p < pixels; ++p) {
    for (int64_t c = 0; c < channels; ++c) sums[c] += x[p * channels + c];
  }
}

SDGEN_CLONES void block_squares(const float* x, const float* means, int64_t pixels, int64_t channels, float* sums) {
  for (int64_t c = 0; c < channels; ++c) sums[c] = 0.0f;
  for (int64_t p = 0; p < pixels; ++p) {
    for (int64_t c = 0; c < channels; ++c) {
      const float d = x[p * channels + c] - means[c];
      sums[c] = std::fma(d, d, sums[c]);
    }
  }
}

SDGEN_CLONES void scale_shift(const float* x, const float* scale, const float* shift, int64_t pixels, int64_t channels, float* y) {
  for (int64_t p = 0; p < pixels; ++p) {
    for (int64_t c = 0; c < channels; ++c) y[p * channels + c] = std::fma(x[p * channels + c], scale[c], shift[c]);
  }
}

SDGEN_CLONES void scale_shift_silu(const float* x, const float* scale, const float* shift, int64_t pixels, int64_t channels, float* y) {
  for (int64_t p = 0; p < pixels; ++p) {
    for (int64_t c = 0; c < channels; ++c) {
      y[p * channels + c] = math::silu_f32(std::fma(x[p * channels + c], scale[c], shift[c]));
    }
  }
}

/// The tree over one image: block sums of a channel ascending, then the channels of a group ascending, each from +0.
/// Writes the group's total to every channel of it.
void group_totals(const float* sums, int64_t blocks, int64_t channels, int64_t groups, float* totals) {
  const int64_t width = channels / groups;
  for (int64_t g = 0; g < groups; ++g) {
    float total = 0.0f;
    for (int64_t c = g * width; c < (g + 1) * width; ++c) {
      float channel = 0.0f;
      for (int64_t b = 0; b < blocks; ++b) channel += sums[b * channels + c];
      total += channel;
    }
    std::fill(totals + g * width, totals + (g + 1) * width, total);
  }
}

float lane_tree(float* lanes) {
  for (int64_t h = kLanes / 2; h >= 1; h /= 2) {
    for (int64_t i = 0; i < h; ++i) lanes[i] += lanes[i + h];
  }
  return lanes[0];
}

SDGEN_CLONES void lane_sums(const float* x, int64_t count, float* lanes) {
  for (int64_t i = 0; i < kLanes; ++i) lanes[i] = 0.0f;
  for (int64_t c = 0; c < count; c += kLanes) {
    const int64_t n = std::min(kLanes, count - c);
    for (int64_t i = 0; i < n; ++i) lanes[i] += x[c + i];
  }
}

SDGEN_CLONES void lane_squares(const float* x, float mean, int64_t count, float* lanes) {
  for (int64_t i = 0; i < kLanes; ++i) lanes[i] = 0.0f;
  for (int64_t c = 0; c < count; c += kLanes) {
    const int64_t n = std::min(kLanes, count - c);
    for (int64_t i = 0; i < n; ++i) {
      const float d = x[c + i] - mean;
      lanes[i] = std::fma(d, d, lanes[i]);
    }
  }
}

SDGEN_CLONES void layer_norm_row(const float* x, float mean, float r, const float* gain, const float* bias, int64_t count, float* y) {
  for (int64_t c = 0; c < count; ++c) y[c] = std::fma((x[c] - mean) * r, gain[c], bias[c]);
}

}  // namespace

void run_op(const GroupNormOp& op, const Task& task) {
  const Shape& shape = task.in_shape(0);
  const int64_t images = shape[0], pixels = shape.rows_per_image(), channels = shape.channels();
  const int64_t blocks = (pixels + kPixelBlock - 1) / kPixelBlock;
  const auto image_channels = static_cast<size_t>(images * channels);
  const auto count = static_cast<float>(pixels * (channels / op.groups));
  std::vector<float> sums(static_cast<size_t>(images * blocks * channels)), means(image_channels), scale(image_channels),
      shift(image_channels);

  const auto each_block = [&](auto&& body) {
    task.pool.parallel_for(images * blocks, 1, [&](int64_t begin, int64_t end, int) {
      for (int64_t t = begin; t < end; ++t) {
        const int64_t image = t / blocks, pixel = t % blocks * kPixelBlock;
        body(t, image * channels, (image * pixels + pixel) * channels, std::min(kPixelBlock, pixels - pixel));
      }
    });
  };

  each_block([&](int64_t block, int64_t, int64_t at, int64_t n) {
    block_sums(task.in(0) + at, n, channels, sums.data() + block * channels);
  });
  for (int64_t i = 0; i < images; ++i) {
    group_totals(sums.data() + i * blocks * channels, blocks, channels, op.groups, means.data() + i * channels);
  }
  for (float& mean : means) mean /= count;
  each_block([&](int64_t block, int64_t image, int64_t at, int64_t n) {
    block_squares(task.in(0) + at, means.data() + image, n, channels, sums.data() + block * channels);
  });
  const auto eps = static_cast<float>(op.eps);
  for (int64_t i = 0; i < images; ++i) {
    group_totals(sums.data() + i * blocks * channels, blocks, channels, op.groups, scale.data() + i * channels);
    for (int64_t c = 0; c < channels; ++c) {
      const auto at = static_cast<size_t>(i * channels + c);
      const float r = 1.0f / std::sqrt(scale[at] / count + eps);
      scale[at] = task.weights[0][c] * r;
      shift[at] = std::fma(-means[at], scale[at], task.weights[1][c]);
    }
  }
  each_block([&](int64_t, int64_t image, int64_t at, int64_t n) {
    (op.silu ? scale_shift_silu : scale_shift)(task.in(0) + at, scale.data() + image, shift.data() + image, n, channels, task.out() + at);
  });
}

void run_op(const LayerNormOp& op, const Task& task) {
  const int64_t rows = task.in_shape(0).rows(), channels = task.in_shape(0).channels();
  const auto count = static_cast<float>(channels);
  const auto eps = static_cast<float>(op.eps);
  task.pool.parallel_for(rows, 16, [&](int64_t begin, int64_t end, int) {
    float lanes[kLanes];
    for (int64_t row = begin; row < end; ++row) {
      const float* x = task.in(0) + row * channels;
      lane_sums(x, channels, lanes);
      const float mean = lane_tree(lanes) / count;
      lane_squares(x, mean, channels, lanes);
      const float r = 1.0f / std::sqrt(lane_tree(lanes) / count + eps);
      layer_norm_row(x, mean, r, task.weights[0], task.weights[1], channels, task.out() + row * channels);
    }
  });
}

}  // namespace sdgen::reference
