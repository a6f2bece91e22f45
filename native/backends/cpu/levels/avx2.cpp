#include "backends/cpu/simd/avx2.h"

#include "backends/cpu/kernels/attention.h"
#include "backends/cpu/kernels/elementwise.h"

namespace sdgen::cpu {

const KernelTable& avx2_kernels() {
  static const KernelTable table{F32::kLanes, kMaxVectors, kMaxRows, storage_kernels<float>(), nullptr};
  return table;
}

}  // namespace sdgen::cpu
