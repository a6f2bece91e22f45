#pragma once
#include "graph/ops/activation.h"
#include "graph/shape.h"

namespace sdgen {

/// x [.., K] with weight [N, K] -> [.., N]. Epilogue in this order: bias, activation, residual (the second input).
/// geglu instead of activation and residual: -> [.., N/2], the first half times gelu(second half).
struct LinearOp {
  static constexpr const char* kName = "linear";
  int64_t in = 0, out = 0;
  bool bias = false;
  Activation activation = Activation::kNone;
  bool residual = false;
  bool geglu = false;
};
inline Shape infer(const LinearOp& op, const Shape& x) { return x.with_channels(op.geglu ? op.out / 2 : op.out); }
inline double flops(const LinearOp& op, const Shape& x) {
  return 2.0 * static_cast<double>(x.rows()) * static_cast<double>(op.in) * static_cast<double>(op.out);
}

}  // namespace sdgen
