#include "models/tensor_index.h"

#include "base/error.h"

namespace sdgen {
namespace {

void add(TensorIndex& index, const std::string& canonical, const TensorInfo* tensor, const WeightStore& store) {
  const auto [other, fresh] = index.tensors.emplace(canonical, tensor);
  if (fresh) return;
  throw Error(ErrorCode::kModelFormat,
              store.path() + ": '" + other->second->name + "' and '" + tensor->name + "' both stand for " + canonical);
}

/// Rows of q, k and v as three tensors over the same bytes.
void add_fused(TensorIndex& index, const std::string& before, const std::string& after, const TensorInfo& fused,
               const WeightStore& store) {
  if (fused.shape.empty() || fused.shape[0] % 3 != 0) {
    throw Error(ErrorCode::kModelFormat, store.path() + ": '" + fused.name + "' should hold the rows of q, k and v; their number is not a multiple of 3");
  }
  for (uint64_t i = 0; i < 3; ++i) {
    constexpr const char* kNames[] = {"q_proj", "k_proj", "v_proj"};
    auto part = std::make_shared<TensorInfo>(fused);
    part->name += std::string(" (") + kNames[i] + ")";
    part->shape[0] /= 3;
    part->bytes /= 3;
    part->offset += i * part->bytes;
    index.parts.push_back(part);
    add(index, before + kNames[i] + after, part.get(), store);
  }
}

}  // namespace

std::optional<int64_t> TensorIndex::dim(std::string_view name, size_t axis) const {
  const auto it = tensors.find(name);
  if (it == tensors.end() || axis >= it->second->shape.size()) return std::nullopt;
  return it->second->shape[axis];
}

TensorIndex index_tensors(const WeightStore& store, const NameFn& canonical_name,
                          const std::function<bool(const std::string&, const std::string&)>& is_usual) {
  constexpr std::string_view kFused = "in_proj";
  TensorIndex index;
  for (const TensorInfo& tensor : store.tensors()) {
    const std::optional<std::string> canonical = canonical_name(tensor.name);
    if (!canonical) {
      index.unused.push_back(tensor.name);
      continue;
    }
    const size_t kind = canonical->rfind('.');
    const bool fused = kind != std::string::npos && canonical->substr(0, kind).ends_with(std::string(".").append(kFused));
    if (fused) {
      add_fused(index, canonical->substr(0, kind - kFused.size()), canonical->substr(kind), tensor, store);
    } else {
      add(index, *canonical, &tensor, store);
    }
    if (!is_usual(tensor.name, *canonical)) index.renamed.emplace(tensor.name, *canonical);
  }
  return index;
}

}  // namespace sdgen
