#include "backends/cpu/simd/avx512.h"

#include "backends/cpu/kernels/attention.h"
#include "backends/cpu/kernels/elementwise.h"

namespace sdgen::cpu {

const KernelTable& avx512_kernels() {
  static const KernelTable table{F32::kLanes, storage_kernels<FloatProduct, FloatAttention>(), nullptr};
  return table;
}

}  // namespace sdgen::cpu
