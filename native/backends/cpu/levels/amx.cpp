#include "backends/cpu/simd/avx512.h"
#include "backends/cpu/simd/tiles.h"

#include "backends/cpu/kernels/tile_attention.h"
#include "backends/cpu/kernels/elementwise.h"

namespace sdgen::cpu {

const KernelTable& amx_kernels() {
  static const StorageKernels bf16 = storage_kernels<TileProduct, TileAttention>();
  static const KernelTable table{F32::kLanes, storage_kernels<FloatProduct, FloatAttention>(), &bf16};
  return table;
}

}  // namespace sdgen::cpu
