#include "engine/weights_check.h"

#include "base/error.h"

namespace sdgen {
namespace {

constexpr size_t kListed = 24;  // a file of another kind misses hundreds

std::string shape_text(const std::vector<int64_t>& shape) {
  std::string out = "[";
  for (size_t i = 0; i < shape.size(); ++i) out += (i ? ", " : "") + std::to_string(shape[i]);
  return out + "]";
}

bool shape_fits(const WeightUse& use, const std::vector<int64_t>& shape) {
  if (shape == use.shape) return true;
  if (use.layout != WeightLayout::kLinear) return false;
  std::vector<int64_t> as_conv = use.shape;  // a 1×1 convolution
  as_conv.insert(as_conv.end(), {1, 1});
  return shape == as_conv;
}

std::string complaint(const WeightUse& use, const TensorIndex& index) {
  const auto it = index.tensors.find(use.name);
  if (it == index.tensors.end()) return use.name + " is missing (expected " + shape_text(use.shape) + ")";
  const TensorInfo& tensor = *it->second;
  if (!shape_fits(use, tensor.shape)) return tensor.name + " is " + shape_text(tensor.shape) + ", expected " + shape_text(use.shape);
  if (!dtype_is_float(tensor.dtype)) {
    return tensor.name + " has the type " + std::string(dtype_name(tensor.dtype)) + ", expected F32, F16 or BF16";
  }
  return {};
}

}  // namespace

void check_weights(const std::vector<WeightUse>& needed, const TensorIndex& index, const std::string& path) {
  std::string list;
  size_t wrong = 0;
  for (const WeightUse& use : needed) {
    const std::string text = complaint(use, index);
    if (text.empty()) continue;
    if (++wrong <= kListed) list += "\n  " + text;
  }
  if (wrong == 0) return;
  if (wrong > kListed) list += "\n  and " + std::to_string(wrong - kListed) + " more";
  throw Error(ErrorCode::kModelFormat, path + ": " + std::to_string(wrong) + " of " + std::to_string(needed.size()) +
                                           " needed tensors are missing or misshapen:" + list);
}

}  // namespace sdgen
