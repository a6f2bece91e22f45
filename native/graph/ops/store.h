#pragma once
#include "graph/shape.h"

namespace sdgen {

/// x again, stored as the output value says: another element type, zeros around a picture.
struct StoreOp {
  static constexpr const char* kName = "store";
};
inline Shape infer(const StoreOp&, const Shape& x) { return x; }

}  // namespace sdgen
