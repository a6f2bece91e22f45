#pragma once
// Finding the NVIDIA driver and its cards, and saying in one line why there is none to be had.
#include <string>
#include <vector>

#include "backends/cuda/driver_api.h"

namespace sdgen::cuda {

struct Card {
  int index = 0;
  std::string name;
  int major = 0, minor = 0;  // compute capability
  int multiprocessors = 0;
  int64_t shared_bytes = 0;  // a block may ask for
  uint64_t memory = 0;       // bytes
  std::string text() const;  // "0: NVIDIA H100, sm_90, 79.6 GB"
};

/// A driver that answers and the cards it knows; or `problem`, one line.
struct Cards {
  const DriverApi* api = nullptr;
  std::vector<Card> cards;
  std::string problem;
};

/// The table of libcuda.so.1, loaded once; nullptr and `problem` where there is none or it is older than what it lacks.
const DriverApi* load_driver(const char* library, std::string& problem);
/// Asks the driver for its cards. `built_with`: the toolkit's version, as 13000; an older major version cannot load its code.
Cards find_cards(const DriverApi& api, int built_with);

struct CardMemory {
  uint64_t free = 0, total = 0;  // bytes
};
/// Asked anew each time; needs a context on the card for a moment, which costs little where a model is open on it. Throws
/// as check().
CardMemory memory_of(const DriverApi& api, int index);

/// Throws for a result that is not success: kOutOfMemory or kDevice, one line: what was done, on which card, the driver's
/// name of the error and what to do.
void check(const DriverApi& api, Result result, const char* doing, int card);

}  // namespace sdgen::cuda
