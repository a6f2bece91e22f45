#pragma once
// Loops that do nothing but multiply and add in registers, one per instruction set.
#include <cstdint>
#include <span>

namespace sdgen::bench {

constexpr int kPeakSeeds = 24;

/// Runs `rounds` rounds on the calling thread. `seeds` are kPeakSeeds different values, about 0.5, that the compiler does
/// not know: of chains that start alike it would keep one. The result keeps it from leaving the loop out.
using PeakLoop = float (*)(int64_t rounds, const float* seeds);

struct PeakLevel {
  const char* isa;
  bool (*supported)();
  PeakLoop fp32;
  double fp32_flops;  // of a round
  PeakLoop bf16;      // nullptr: none
  double bf16_flops;
};

/// All levels that this build knows, slowest first.
std::span<const PeakLevel> peak_levels();

}  // namespace sdgen::bench
