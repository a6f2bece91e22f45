#pragma once
// A checkpoint's tensors by canonical name, whatever layout it has.
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "weights/store.h"

namespace sdgen {

struct TensorIndex {
  std::map<std::string, const TensorInfo*, std::less<>> tensors;
  std::vector<std::string> unused;             // names in the file that no network has
  std::map<std::string, std::string> renamed;  // known variant -> canonical
  /// Parts of tensors that the file holds as one: `tensors` points to them as to the store's own.
  std::vector<std::shared_ptr<const TensorInfo>> parts;
  /// Size of one dimension, or nullopt where the tensor or the dimension is missing.
  std::optional<int64_t> dim(std::string_view name, size_t axis) const;
};

/// Foreign name -> canonical, nullopt for what no network has.
using NameFn = std::function<std::optional<std::string>(std::string_view foreign)>;

/// Names every tensor of `store`. A tensor whose canonical name ends in ".in_proj.weight" or ".in_proj.bias" holds the
/// rows of q, k and v, in this order, and becomes q_proj, k_proj and v_proj. `is_usual(foreign, canonical)` is false for
/// names to be listed as renamed. Throws kModelFormat when two tensors stand for one name or three do not fit into one.
TensorIndex index_tensors(const WeightStore& store, const NameFn& canonical_name,
                          const std::function<bool(const std::string& foreign, const std::string& canonical)>& is_usual);

}  // namespace sdgen
