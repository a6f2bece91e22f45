#pragma once
// Several files as one checkpoint.
#include <memory>
#include <string>
#include <vector>

#include "weights/store.h"

namespace sdgen {

struct StorePart {
  std::shared_ptr<const WeightStore> store;
  std::string prefix;  // put before every name of the file's tensors, e.g. "unet/"
};

/// The parts' tensors in one store, under `path` in messages. Its metadata is that of the first part. Throws
/// kModelFormat when two parts have a tensor of one name.
std::shared_ptr<const WeightStore> join_stores(std::vector<StorePart> parts, const std::string& path);

}  // namespace sdgen
