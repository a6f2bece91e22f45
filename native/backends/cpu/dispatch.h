#pragma once
// Which instruction set the cpu backend runs, and why.
#include <string>
#include <vector>

#include "backends/backend.h"

namespace sdgen::cpu {

/// In rising order; a processor that has one has all below it.
enum class Level { kPortable, kAvx2, kAvx512, kAvx512Bf16, kAmx };
inline constexpr Level kLevels[] = {Level::kPortable, Level::kAvx2, Level::kAvx512, Level::kAvx512Bf16, Level::kAmx};

/// portable, avx2, avx512, avx512bf16, amx.
const char* level_name(Level level) noexcept;
/// Built into this binary and supported by processor and system.
bool available(Level level) noexcept;
/// Whether it multiplies bf16.
bool multiplies_bf16(Level level) noexcept;

struct Choice {
  Level level;
  std::string reason;
};
/// `asked`: a level's name; empty: the environment's SDGEN_ISA, else the best available. Throws kDevice for a name that
/// is unknown or a level that is not available here.
Choice choose_level(const std::string& asked);

BackendInfo info(const Choice& choice);
/// Of the level that runs unless another is asked for.
BackendInfo info();

}  // namespace sdgen::cpu
