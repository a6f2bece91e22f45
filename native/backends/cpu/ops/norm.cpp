#include <algorithm>
#include <cmath>

#include "backends/cpu/ops/call.h"

namespace sdgen::cpu {
namespace {

constexpr int64_t kPixelBlock = 128;  // the contract's

int64_t pixel_blocks(const Shape& shape) { return (shape.rows_per_image() + kPixelBlock - 1) / kPixelBlock; }

/// A channel's block sums in order, then a group's channels in order, each from +0; every channel of it gets the total.
void group_totals(const float* sums, int64_t blocks, int64_t channels, int64_t groups, float* totals) {
  std::fill_n(totals, channels, 0.0f);
  for (int64_t b = 0; b < blocks; ++b) {
    for (int64_t c = 0; c < channels; ++c) totals[c] += sums[b * channels + c];
  }
  const int64_t width = channels / groups;
  for (float* group = totals; group < totals + channels; group += width) {
    float total = 0.0f;
    for (int64_t c = 0; c < width; ++c) total += group[c];
    std::fill_n(group, width, total);
  }
}

}  // namespace

uint64_t group_norm_scratch(const Program& program, const Node& node) {
  const Shape& shape = program.value(node.output).shape;
  return static_cast<uint64_t>(shape[0] * shape.channels() * (pixel_blocks(shape) + 3)) * sizeof(float);
}

void run_op(const GroupNormOp& op, const OpCall& call) {
  const Shape& shape = call.in_shape(0);
  const Value& out = call.out_value();
  const int64_t images = shape[0], pixels = shape.rows_per_image(), channels = shape.channels(), blocks = pixel_blocks(shape);
  const auto count = static_cast<float>(pixels * (channels / op.groups));
  auto* sums = reinterpret_cast<float*>(call.scratch);
  float *means = sums + images * blocks * channels, *scale = means + images * channels, *shift = scale + images * channels;
  const StorageKernels& kernels = call.kernels();
  const Element element = out.element;

  const auto sum_blocks = [&](bool squares) {
    call.pool.parallel_for(images * blocks, 1, [&](int64_t begin, int64_t end, int) {
      for (int64_t t = begin; t < end; ++t) {
        const int64_t image = t / blocks, pixel = t % blocks * kPixelBlock;
        const Rows rows{at(call.call.inputs[0], element, (image * pixels + pixel) * channels), std::min(kPixelBlock, pixels - pixel), channels};
        kernels.channel_sums(rows, squares ? means + image * channels : nullptr, sums + t * channels);
      }
    });
  };
  sum_blocks(false);
  for (int64_t i = 0; i < images; ++i) group_totals(sums + i * blocks * channels, blocks, channels, op.groups, means + i * channels);
  for (int64_t c = 0; c < images * channels; ++c) means[c] /= count;
  sum_blocks(true);
  const auto eps = static_cast<float>(op.eps);
  const float *gain = call.weight(0).floats(), *bias = call.weight(1).floats();
  for (int64_t i = 0; i < images; ++i) {
    group_totals(sums + i * blocks * channels, blocks, channels, op.groups, scale + i * channels);
    for (int64_t c = 0; c < channels; ++c) {
      const int64_t k = i * channels + c;
      const float r = 1.0f / std::sqrt(scale[k] / count + eps);
      scale[k] = gain[c] * r;
      shift[k] = std::fma(-means[k], scale[k], bias[c]);
    }
  }

  // Line by line where the output has a halo, else in longer pieces.
  const PixelGrid grid(out);
  const bool lines = out.halo.total() != 0;
  const int64_t piece = lines ? shape[2] : kPixelBlock, pieces = (pixels + piece - 1) / piece;
  call.pool.parallel_for(images * pieces, 1, [&](int64_t begin, int64_t end, int) {
    for (int64_t t = begin; t < end; ++t) {
      const int64_t image = t / pieces, first = t % pieces * piece;
      if (lines && first == 0) clear_halo(out, call.call.output, image);
      const Rows rows{at(call.call.inputs[0], element, (image * pixels + first) * channels), std::min(piece, pixels - first), channels};
      const int64_t to = lines ? grid.origin + image * grid.image + t % pieces * grid.row : (image * pixels + first) * channels;
      kernels.scale_shift(rows, scale + image * channels, shift + image * channels, op.silu, at(call.call.output, element, to));
    }
  });
}

void run_op(const LayerNormOp& op, const OpCall& call) {
  const int64_t channels = call.in_shape(0).channels();
  const Element element = call.out_value().element;
  call.pool.parallel_for(call.in_shape(0).rows(), 1, [&](int64_t begin, int64_t end, int) {
    const Rows rows{at(call.call.inputs[0], element, begin * channels), end - begin, channels};
    call.kernels().layer_norm(rows, static_cast<float>(op.eps), call.weight(0).floats(), call.weight(1).floats(),
                              at(call.call.output, element, begin * channels));
  });
}

}  // namespace sdgen::cpu
