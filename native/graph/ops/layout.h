#pragma once
// Ops that move or scale values without a product: add, scale, concatenate, resize.
#include "graph/shape.h"

namespace sdgen {

/// a + b, same shape.
struct AddOp {
  static constexpr const char* kName = "add";
};
inline Shape infer(const AddOp&, const Shape& a) { return a; }

/// x * factor.
struct ScaleOp {
  static constexpr const char* kName = "scale";
  float factor = 1.0f;
};
inline Shape infer(const ScaleOp&, const Shape& x) { return x; }

/// Concatenates the channels of two tensors: [.., A], [.., B] -> [.., A + B].
struct ConcatOp {
  static constexpr const char* kName = "concat";
};
inline Shape infer(const ConcatOp&, const Shape& a, const Shape& b) { return a.with_channels(a.channels() + b.channels()); }

/// Nearest neighbour: out(y, x) = in(floor(y·in_h/out_h), floor(x·in_w/out_w)).
struct ResizeNearestOp {
  static constexpr const char* kName = "resize_nearest";
  int64_t height = 0, width = 0;
};
inline Shape infer(const ResizeNearestOp& op, const Shape& x) { return {x[0], op.height, op.width, x[3]}; }

}  // namespace sdgen
