#pragma once
// The cuda backend on the emulation: its kernels' own sources, run by the host. With SDGEN_TEST_CARD=1 the same tests run on
// the machine's card instead; SDGEN_TEST_CARD=cuda:1 names another device.
#include <cstdlib>

#include "backends/cuda/backend.h"
#include "backends/cuda/emulation/driver.h"
#include "backends/registry.h"
#include "op_cases.h"

namespace sdgen_test {

/// One card, as that machine has it. A fresh backend: what one remembers of a machine, another must not see.
inline std::unique_ptr<sdgen::Backend> emulated_backend(const sdgen::cuda::emulation::Machine& machine, const std::string& precision) {
  const sdgen::cuda::DriverApi& api = sdgen::cuda::emulation::emulated_driver(machine);
  const sdgen::cuda::Cards found = sdgen::cuda::find_cards(api, 13000);
  return sdgen::cuda::make_backend_on(api, found.cards.at(0), {{"emulated", nullptr}}, precision);
}

/// Threads in both orders, side by side or warp after warp, few multiprocessors (large tiles) and many (small ones).
inline const std::vector<sdgen::cuda::emulation::Machine>& machines() {
  static const std::vector<sdgen::cuda::emulation::Machine> list = {
      {.schedule = {.backward = false, .warp_first = false, .eager_copies = false}, .multiprocessors = 1},
      {.schedule = {.backward = true, .warp_first = true, .eager_copies = true}, .multiprocessors = 132, .major = 9},
  };
  return list;
}

inline bool on_card() { return std::getenv("SDGEN_TEST_CARD") != nullptr; }
inline std::unique_ptr<sdgen::Backend> card_backend(const std::string& precision, int threads = 1) {
  const std::string name = std::getenv("SDGEN_TEST_CARD");
  return sdgen::make_backend(name == "1" ? "cuda" : name, {.threads = threads, .precision = precision});
}

/// Calls test(backend, its name) for each of them; the emulation is another machine at each call.
template <typename Test>
void on_each_backend(const std::string& precision, const Test& test) {
  if (on_card()) {
    // Never destroyed: at the process's end the driver is gone before they would be.
    static auto& cards = *new std::map<std::string, std::unique_ptr<sdgen::Backend>>;
    auto& card = cards[precision];
    if (!card) card = card_backend(precision);
    return test(*card, std::string("the card"));
  }
  for (const auto& machine : machines()) {
    test(*emulated_backend(machine, precision), std::to_string(machine.multiprocessors) + " emulated multiprocessors");
  }
}

}  // namespace sdgen_test
