#include "weights/joined_store.h"

#include "base/error.h"

namespace sdgen {
namespace {

class JoinedStore final : public WeightStore {
 public:
  JoinedStore(std::vector<StorePart> parts, std::string path) : parts_(std::move(parts)), path_(std::move(path)) {
    for (const StorePart& part : parts_) {
      for (TensorInfo tensor : part.store->tensors()) {
        tensor.name = part.prefix + tensor.name;
        if (tensor.home == nullptr) tensor.home = part.store.get();
        tensors_.push_back(std::move(tensor));
      }
    }
    for (size_t i = 0; i < tensors_.size(); ++i) {
      const auto [other, fresh] = by_name_.emplace(tensors_[i].name, i);
      if (fresh) continue;
      throw Error(ErrorCode::kModelFormat, path_ + ": '" + tensors_[i].name + "' stands in both " +
                                               store(tensors_[other->second]).path() + " and " + store(tensors_[i]).path());
    }
  }

  const std::vector<TensorInfo>& tensors() const noexcept override { return tensors_; }
  const std::map<std::string, std::string>& metadata() const noexcept override { return parts_.front().store->metadata(); }
  const std::string& path() const noexcept override { return path_; }
  const TensorInfo* find(std::string_view name) const noexcept override {
    const auto at = by_name_.find(name);
    return at == by_name_.end() ? nullptr : &tensors_[at->second];
  }
  void read_f32_range(const TensorInfo& tensor, int64_t first, std::span<float> out) const override {
    store(tensor).read_f32_range(tensor, first, out);
  }
  void prefetch(const TensorInfo& tensor) const noexcept override { store(tensor).prefetch(tensor); }
  void read_raw(const TensorInfo& tensor, uint64_t offset, void* destination, uint64_t size) const override {
    store(tensor).read_raw(tensor, offset, destination, size);
  }

 private:
  /// A tensor of the first part may be given as it stands there.
  const WeightStore& store(const TensorInfo& tensor) const { return tensor.home != nullptr ? *tensor.home : *parts_.front().store; }

  std::vector<StorePart> parts_;
  std::string path_;
  std::vector<TensorInfo> tensors_;
  std::map<std::string, size_t, std::less<>> by_name_;
};

}  // namespace

std::shared_ptr<const WeightStore> join_stores(std::vector<StorePart> parts, const std::string& path) {
  return std::make_shared<JoinedStore>(std::move(parts), path);
}

}  // namespace sdgen
