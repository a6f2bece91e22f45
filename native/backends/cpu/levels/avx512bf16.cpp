#include "backends/cpu/simd/avx512.h"

#include "backends/cpu/kernels/bf16.h"
#include "backends/cpu/kernels/elementwise.h"

namespace sdgen::cpu {

const KernelTable& avx512bf16_kernels() {
  static const StorageKernels bf16 = storage_kernels<Bf16Product, Bf16Attention>();
  static const KernelTable table{F32::kLanes, storage_kernels<FloatProduct, FloatAttention>(), &bf16};
  return table;
}

}  // namespace sdgen::cpu
