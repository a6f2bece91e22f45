#pragma once
// Weights made in memory: the work of a model does not depend on their values, so no file is needed to time it.
#include <memory>
#include <vector>

#include "graph/program.h"
#include "models/config.h"

namespace sdgen::bench {

/// A store that has exactly these weights, under their canonical names, as F32. Values are made while they are read and
/// kept nowhere: small enough that activations stay finite through the depth of a network.
std::shared_ptr<const WeightStore> make_weights(const std::vector<WeightUse>& uses);
/// Its tensors by name.
TensorIndex index_of(const WeightStore& store);

}  // namespace sdgen::bench
