#include "backends/cpu/simd/portable.h"

#include "backends/cpu/kernels/attention.h"
#include "backends/cpu/kernels/elementwise.h"

namespace sdgen::cpu {

const KernelTable& portable_kernels() {
  static const KernelTable table{F32::kLanes, storage_kernels<FloatProduct, FloatAttention>(), nullptr};
  return table;
}

}  // namespace sdgen::cpu
