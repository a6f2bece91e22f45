#include "bench/made_weights.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "base/error.h"

namespace sdgen::bench {
namespace {

constexpr int64_t kPattern = 65521;  // a prime: rows of a weight never repeat with its period

/// Pseudo-random values in [-1, 1), splitmix64.
std::vector<float> make_pattern() {
  std::vector<float> values(kPattern);
  uint64_t state = 1;
  for (float& value : values) {
    uint64_t z = state += 0x9e3779b97f4a7c15U;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9U;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebU;
    value = static_cast<float>(static_cast<int64_t>((z ^ (z >> 31)) >> 40) - (int64_t{1} << 23)) * 0x1p-23f;
  }
  return values;
}

struct Recipe {
  float scale = 1, offset = 0;
};

/// Products keep the variance of what goes in, gains are about 1, biases and embeddings small.
Recipe recipe_of(const WeightUse& use) {
  if (use.layout == WeightLayout::kVector) return {0.1f, use.name.ends_with(".weight") ? 1.0f : 0.0f};
  if (use.layout == WeightLayout::kTable) return {0.3f, 0.0f};
  int64_t fan_in = 1;
  for (size_t i = 1; i < use.shape.size(); ++i) fan_in *= use.shape[i];
  return {1.6f / std::sqrt(static_cast<float>(fan_in)), 0.0f};
}

class MadeWeights final : public WeightStore {
 public:
  explicit MadeWeights(const std::vector<WeightUse>& uses) : pattern_(make_pattern()) {
    uint64_t offset = 0;
    for (const WeightUse& use : uses) {
      if (recipes_.contains(use.name)) continue;
      TensorInfo tensor{use.name, DType::kF32, use.shape, offset, 0};
      tensor.bytes = static_cast<uint64_t>(tensor.elements()) * sizeof(float);
      offset += tensor.bytes;
      recipes_.emplace(use.name, recipe_of(use));
      tensors_.push_back(std::move(tensor));
    }
  }

  const std::vector<TensorInfo>& tensors() const noexcept override { return tensors_; }
  const std::map<std::string, std::string>& metadata() const noexcept override { return metadata_; }
  const std::string& path() const noexcept override { return path_; }
  const TensorInfo* find(std::string_view name) const noexcept override {
    const auto at = std::find_if(tensors_.begin(), tensors_.end(), [&](const TensorInfo& t) { return t.name == name; });
    return at == tensors_.end() ? nullptr : &*at;
  }

  void read_f32_range(const TensorInfo& tensor, int64_t first, std::span<float> out) const override {
    make(tensor, first, out.data(), static_cast<int64_t>(out.size()));
  }

  void read_raw(const TensorInfo& tensor, uint64_t offset, void* destination, uint64_t size) const override {
    if (offset > tensor.bytes || size > tensor.bytes - offset) throw Error(ErrorCode::kInternal, "read outside of '" + tensor.name + "'");
    if (size == 0) return;
    const uint64_t first = offset / sizeof(float), last = (offset + size - 1) / sizeof(float);
    std::vector<float> values(static_cast<size_t>(last - first + 1));
    make(tensor, static_cast<int64_t>(first), values.data(), static_cast<int64_t>(values.size()));
    std::memcpy(destination, reinterpret_cast<const unsigned char*>(values.data()) + offset % sizeof(float), size);
  }

 private:
  /// Elements [first, first + count), stretch by stretch of the pattern.
  void make(const TensorInfo& tensor, int64_t first, float* out, int64_t count) const {
    const Recipe recipe = recipes_.at(tensor.name);
    int64_t at = static_cast<int64_t>((tensor.offset / sizeof(float) * 31 + static_cast<uint64_t>(first)) % kPattern);
    for (int64_t done = 0; done < count;) {
      const int64_t stretch = std::min(count - done, kPattern - at);
      for (int64_t i = 0; i < stretch; ++i) out[done + i] = pattern_[static_cast<size_t>(at + i)] * recipe.scale + recipe.offset;
      done += stretch;
      at = 0;
    }
  }

  std::string path_ = "weights made in memory";
  std::map<std::string, std::string> metadata_;
  std::vector<TensorInfo> tensors_;
  std::map<std::string, Recipe> recipes_;
  std::vector<float> pattern_;
};

}  // namespace

std::shared_ptr<const WeightStore> make_weights(const std::vector<WeightUse>& uses) { return std::make_shared<MadeWeights>(uses); }

TensorIndex index_of(const WeightStore& store) {
  TensorIndex index;
  for (const TensorInfo& tensor : store.tensors()) index.tensors.emplace(tensor.name, &tensor);
  return index;
}

}  // namespace sdgen::bench
