#pragma once
#include "graph/shape.h"

namespace sdgen {

/// Formulas: docs/numerics.md. Also the epilogue of linear and conv2d.
enum class Activation { kNone, kSilu, kGelu, kQuickGelu };

/// Elementwise activation: x -> y of the same shape.
struct ActivationOp {
  static constexpr const char* kName = "activation";
  Activation kind = Activation::kSilu;
};
inline Shape infer(const ActivationOp&, const Shape& x) { return x; }
inline double flops(const ActivationOp&, const Shape& x) { return 8.0 * static_cast<double>(x.elements()); }

/// [.., 2C] -> [.., C]: first half times gelu(second half).
struct GegluOp {
  static constexpr const char* kName = "geglu";
};
inline Shape infer(const GegluOp&, const Shape& x) { return x.with_channels(x.channels() / 2); }
inline double flops(const GegluOp&, const Shape& x) { return 8.0 * static_cast<double>(x.elements()); }

}  // namespace sdgen
