#pragma once
#include <cstdint>

namespace sdgen::cpu {

/// The upper half of a float32: how bf16 values lie in memory.
struct Bf16 {
  uint16_t bits;
};

}  // namespace sdgen::cpu
