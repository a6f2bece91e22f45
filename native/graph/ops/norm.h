#pragma once
#include "graph/shape.h"

namespace sdgen {

/// Normalises each group of channels over all pixels of an image; gain and bias [C]; SiLU after it if asked.
struct GroupNormOp {
  static constexpr const char* kName = "group_norm";
  int64_t groups = 32;
  double eps = 1e-5;
  bool silu = false;
};
inline Shape infer(const GroupNormOp&, const Shape& x) { return x; }
inline double flops(const GroupNormOp& op, const Shape& x) {
  return (op.silu ? 14.0 : 6.0) * static_cast<double>(x.elements());
}

/// Normalises each row over its channels; gain and bias [C].
struct LayerNormOp {
  static constexpr const char* kName = "layer_norm";
  double eps = 1e-5;
};
inline Shape infer(const LayerNormOp&, const Shape& x) { return x; }
inline double flops(const LayerNormOp&, const Shape& x) { return 7.0 * static_cast<double>(x.elements()); }

}  // namespace sdgen
