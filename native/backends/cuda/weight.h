#pragma once
// Weights as the kernels read them: on the device, packed on the host.
#include <memory>

#include "backends/backend.h"
#include "backends/cuda/device.h"
#include "base/thread_pool.h"

namespace sdgen::cuda {

class CudaWeight : public PackedWeight {
 public:
  CudaWeight(std::shared_ptr<Device> device, uint64_t bytes) : device_(std::move(device)), memory_(*device_, bytes) {}
  DevicePointer address() const noexcept { return memory_.address(); }

 private:
  std::shared_ptr<Device> device_;
  DeviceMemory memory_;
};

/// Halves of one output's row in fp16: channels of every tap filled up to a multiple of 8, the row to one of 32.
inline int64_t half_row(int64_t channels, int64_t taps) { return (taps * ((channels + 7) / 8 * 8) + 31) / 32 * 32; }

/// Linear and conv2d, fp32: [k][outputs, up to a multiple of 4], k ordered (kh, kw, c); fp16: [outputs][half_row]. What is
/// filled up is zero. Others: as in the file, float32.
uint64_t packed_bytes(const WeightUse& use, Element element);
/// Reads, converts and packs on the pool's threads, then uploads.
std::shared_ptr<const PackedWeight> pack(const WeightUse& use, const WeightStore& store, const TensorInfo& tensor, Element element,
                                         const std::shared_ptr<Device>& device, ThreadPool& pool);

}  // namespace sdgen::cuda
