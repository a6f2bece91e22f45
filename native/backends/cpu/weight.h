#pragma once
// Weights as the cpu backend's kernels read them.
#include "backends/cpu/kernels/table.h"
#include "backends/host/memory.h"
#include "base/thread_pool.h"
#include "weights/store.h"

namespace sdgen::cpu {

/// The kernels for what is stored so.
inline const StorageKernels& kernels_for(const KernelTable& table, Element element) {
  return element == Element::kBf16 ? *table.bf16 : table.f32;
}

/// Panels of linear and conv2d (packing.h), float32 or bf16; vectors float32, filled up with zeros to whole panels;
/// tables float32.
class CpuWeight : public PackedWeight {
 public:
  explicit CpuWeight(uint64_t bytes) : memory(bytes) {}
  const float* floats() const noexcept { return reinterpret_cast<const float*>(memory.data()); }
  host::AlignedBytes memory;
  Matrix matrix{};  // of linear and conv2d
};

uint64_t packed_bytes(const WeightUse& use, const KernelTable& table, Element element);
std::shared_ptr<const CpuWeight> pack(const WeightUse& use, const WeightStore& store, const TensorInfo& tensor,
                                      const KernelTable& table, Element element, ThreadPool& pool);

}  // namespace sdgen::cpu
