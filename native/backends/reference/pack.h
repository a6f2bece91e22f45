#pragma once
#include <cstdint>
#include <memory>

#include "backends/backend.h"
#include "backends/host/memory.h"
#include "base/thread_pool.h"

namespace sdgen::reference {

class ReferenceWeight : public PackedWeight {
 public:
  explicit ReferenceWeight(int64_t count) : memory_(static_cast<uint64_t>(count) * sizeof(float)) {}
  float* values() const noexcept { return reinterpret_cast<float*>(memory_.data()); }

 private:
  host::AlignedBytes memory_;
};

/// float32 values that the packed form of `use` has: panels of linear and conv2d are filled up with zeros.
int64_t packed_count(const WeightUse& use);
std::shared_ptr<const PackedWeight> pack(const WeightUse& use, const WeightStore& store, const TensorInfo& tensor, ThreadPool& pool);

}  // namespace sdgen::reference
