#pragma once
// Weights as the kernels read them: on the device, packed on the host.
#include <memory>

#include "backends/backend.h"
#include "backends/cuda/device.h"

namespace sdgen::cuda {

class CudaWeight : public PackedWeight {
 public:
  CudaWeight(std::shared_ptr<Device> device, uint64_t bytes) : device_(std::move(device)), memory_(*device_, bytes) {}
  DevicePointer address() const noexcept { return memory_.address(); }

 private:
  std::shared_ptr<Device> device_;
  DeviceMemory memory_;
};

/// Linear and conv2d, fp32: [k][outputs, up to a multiple of 4], k ordered (kh, kw, c). Others: as in the file, float32.
uint64_t packed_bytes(const WeightUse& use, Element element);
std::shared_ptr<const PackedWeight> pack(const WeightUse& use, const WeightStore& store, const TensorInfo& tensor, Element element,
                                         const std::shared_ptr<Device>& device);

}  // namespace sdgen::cuda
