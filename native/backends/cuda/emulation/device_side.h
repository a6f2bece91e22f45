#pragma once
// What kernel sources see of the emulation in place of CUDA's built-ins.
#include <cmath>

#include "backends/cuda/emulation/block.h"
#include "backends/cuda/emulation/kernels.h"

#define SDGEN_DEVICE inline
#define SDGEN_KERNEL(name, Params, threads, blocks)                                                                    \
  static void name(const Params& p);                                                                                   \
  static const sdgen::cuda::emulation::Registrar registrar_##name(                                                     \
      #name, threads, sizeof(Params), [](const void* params) { name(*static_cast<const Params*>(params)); });          \
  static void name(const Params& p)

#define threadIdx (sdgen::cuda::emulation::Block::running().current().thread)
#define blockIdx (sdgen::cuda::emulation::Block::running().block)
#define blockDim (sdgen::cuda::emulation::Block::running().block_size)
#define gridDim (sdgen::cuda::emulation::Block::running().grid)

inline void __syncthreads() { sdgen::cuda::emulation::Block::running().sync_threads(); }

namespace sdgen::cuda::emulation {

/// A warp's operation on one value a lane: `pick(lane)` says whose value a lane gets.
template <typename T, typename Pick>
T shuffle(T value, int argument) {
  struct Given {
    T value;
    int argument;
  } given{value, argument};
  T result;
  static const char operation = 0;
  Block::running().meet(&operation, &given, sizeof given, &result, sizeof result, [](Meeting& meeting) {
    Given all[kWarp];
    for (unsigned i = 0; i < kWarp; ++i) std::memcpy(&all[i], meeting.in[i], sizeof(Given));
    for (unsigned i = 0; i < kWarp; ++i) {
      const unsigned from = Pick::lane(i, all[i].argument);
      std::memcpy(meeting.out[i], &all[from < kWarp ? from : i].value, sizeof(T));
    }
  });
  return result;
}
struct PickDown {
  static unsigned lane(unsigned own, int by) { return own + static_cast<unsigned>(by); }
};
struct PickXor {
  static unsigned lane(unsigned own, int by) { return own ^ static_cast<unsigned>(by); }
};
struct PickLane {
  static unsigned lane(unsigned, int lane) { return static_cast<unsigned>(lane); }
};

}  // namespace sdgen::cuda::emulation

template <typename T>
T __shfl_down_sync(unsigned, T value, int by) {
  return sdgen::cuda::emulation::shuffle<T, sdgen::cuda::emulation::PickDown>(value, by);
}
template <typename T>
T __shfl_xor_sync(unsigned, T value, int by) {
  return sdgen::cuda::emulation::shuffle<T, sdgen::cuda::emulation::PickXor>(value, by);
}
template <typename T>
T __shfl_sync(unsigned, T value, int lane) {
  return sdgen::cuda::emulation::shuffle<T, sdgen::cuda::emulation::PickLane>(value, lane);
}

namespace sdgen::cuda {

template <typename T>
T& shared_as() {
  return *reinterpret_cast<T*>(emulation::Block::running().shared());
}
inline float square_root(float x) { return std::sqrt(x); }

}  // namespace sdgen::cuda
