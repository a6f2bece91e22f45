#pragma once
#include "graph/ops/activation.h"
#include "graph/shape.h"

namespace sdgen {

/// x [N, H, W, C] with weight [O, C, kernel, kernel] -> [N, H', W', O], zero padding.
/// Epilogue in this order: bias, channel_add [N, O] (time embedding), activation, residual [N, H', W', O].
struct Conv2dOp {
  static constexpr const char* kName = "conv2d";
  int64_t in = 0, out = 0, kernel = 3, stride = 1;
  int64_t pad_before = 1, pad_after = 1;  // top and left, bottom and right
  bool channel_add = false;
  Activation activation = Activation::kNone;
  bool residual = false;
};
inline int64_t conv_extent(const Conv2dOp& op, int64_t size) {
  return (size + op.pad_before + op.pad_after - op.kernel) / op.stride + 1;
}
inline Shape infer(const Conv2dOp& op, const Shape& x) {
  return {x[0], conv_extent(op, x[1]), conv_extent(op, x[2]), op.out};
}
inline double flops(const Conv2dOp& op, const Shape& x) {
  return 2.0 * static_cast<double>(infer(op, x).elements()) * static_cast<double>(op.in * op.kernel * op.kernel);
}

}  // namespace sdgen
