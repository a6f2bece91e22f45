#pragma once
// What kernel sources are written against: nvcc compiles them for cards, a C++ compiler for the emulation on the host.
//
// SDGEN_KERNEL(name, Params, threads, blocks) { … p … }: a kernel whose one argument `p` is a plain struct, launched with
// `threads` threads a block, of which at least `blocks` should fit on a multiprocessor. All shared memory is dynamic:
// shared_as<T>() gives the block's memory as a T.
#include <cstdint>

#include "base/math.h"

#ifdef __CUDACC__

#define SDGEN_DEVICE __device__ __forceinline__
#define SDGEN_KERNEL(name, Params, threads, blocks) \
  extern "C" __global__ void __launch_bounds__(threads, blocks) name(const __grid_constant__ Params p)

namespace sdgen::cuda {

template <typename T>
SDGEN_DEVICE T& shared_as() {
  extern __shared__ __align__(128) unsigned char sdgen_shared_memory[];
  return *reinterpret_cast<T*>(sdgen_shared_memory);
}
SDGEN_DEVICE float square_root(float x) { return __fsqrt_rn(x); }

}  // namespace sdgen::cuda

#else

#include "backends/cuda/emulation/device_side.h"

#endif

namespace sdgen::cuda {

/// This thread's place among all of the launch.
SDGEN_DEVICE int64_t thread_of_grid() { return static_cast<int64_t>(blockIdx.x) * blockDim.x + threadIdx.x; }

}  // namespace sdgen::cuda
