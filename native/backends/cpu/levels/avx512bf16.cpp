#include "backends/cpu/simd/avx512.h"

#include "backends/cpu/kernels/bf16.h"
#include "backends/cpu/kernels/elementwise.h"

namespace sdgen::cpu {

const KernelTable& avx512bf16_kernels() {
  static const StorageKernels bf16 = storage_kernels<Bf16>();
  static const KernelTable table{F32::kLanes, kMaxVectors, kMaxRows, storage_kernels<float>(), &bf16};
  return table;
}

}  // namespace sdgen::cpu
