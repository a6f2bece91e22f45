#pragma once
#include "graph/shape.h"

namespace sdgen {

/// q [N, .., C], k and v [N, .., C] (any middle dimensions: tokens) -> as q. C = heads * head size; scale 1/sqrt(head size).
/// causal: query i sees keys 0 … i.
struct AttentionOp {
  static constexpr const char* kName = "attention";
  int64_t heads = 1;
  bool causal = false;
};
inline Shape infer(const AttentionOp&, const Shape& q) { return q; }
inline double flops(const AttentionOp&, const Shape& q, const Shape& k) {
  return 4.0 * static_cast<double>(q.elements()) * static_cast<double>(k.rows_per_image());
}

}  // namespace sdgen
