#pragma once
#include <cstdint>
#include <memory>

#include "backends/backend.h"
#include "base/thread_pool.h"

namespace sdgen::reference {

/// 64-byte aligned float memory, not initialised; in huge pages where it is large and the system has them.
/// Throws kOutOfMemory, naming the bytes.
class AlignedFloats {
 public:
  explicit AlignedFloats(int64_t count);
  float* data() const noexcept { return memory_.get(); }

 private:
  struct Free {
    void operator()(float* p) const noexcept;
  };
  std::unique_ptr<float, Free> memory_;
};

class ReferenceWeight : public PackedWeight {
 public:
  explicit ReferenceWeight(int64_t count) : values(count) {}
  AlignedFloats values;
};

/// float32 values that the packed form of `use` has: panels of linear and conv2d are filled up with zeros.
int64_t packed_count(const WeightUse& use);
std::shared_ptr<const PackedWeight> pack(const WeightUse& use, const WeightStore& store, const TensorInfo& tensor, ThreadPool& pool);

}  // namespace sdgen::reference
