#pragma once
// A driver whose one card is the emulation: device memory is host memory, kernels run as fibres when they are launched.
#include "backends/cuda/driver_api.h"
#include "backends/cuda/emulation/block.h"

namespace sdgen::cuda::emulation {

struct Machine {
  Schedule schedule{};
  int multiprocessors = 1;
  int major = 8, minor = 0;
  size_t memory = size_t{4} << 30;
};

/// The same table every time; `machine` holds until the next call.
const DriverApi& emulated_driver(const Machine& machine = {});
/// Kernels launched since the process began, graphs' included.
uint64_t launches();

}  // namespace sdgen::cuda::emulation
