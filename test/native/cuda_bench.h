#pragma once
// The cuda backend on the emulation: its kernels' own sources, run by the host.
#include "backends/cuda/backend.h"
#include "backends/cuda/emulation/driver.h"
#include "op_cases.h"

namespace sdgen_test {

/// One card, as that machine has it. A fresh backend: what one remembers of a machine, another must not see.
inline std::unique_ptr<sdgen::Backend> emulated_backend(const sdgen::cuda::emulation::Machine& machine, const std::string& precision) {
  const sdgen::cuda::DriverApi& api = sdgen::cuda::emulation::emulated_driver(machine);
  const sdgen::cuda::Cards found = sdgen::cuda::find_cards(api, 13000);
  return sdgen::cuda::make_backend_on(api, found.cards.at(0), {{"emulated", nullptr}}, precision);
}

/// Threads in both orders, few multiprocessors (large tiles) and many (small ones).
inline const std::vector<sdgen::cuda::emulation::Machine>& machines() {
  static const std::vector<sdgen::cuda::emulation::Machine> list = {
      {.schedule = {false, false}, .multiprocessors = 1},
      {.schedule = {true, true}, .multiprocessors = 132, .major = 9},
  };
  return list;
}

}  // namespace sdgen_test
