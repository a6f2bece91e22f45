#include "backends/cpu/dispatch.h"

#include <cstdlib>

#include "backends/cpu/tiles.h"
#include "base/error.h"

namespace sdgen::cpu {
namespace {

/// Intel's vdpbf16ps does half of what fp32's fma does in the same time (177 and 355 GFLOP/s on two cores of a Xeon,
/// docs/performance.md); AMD's does twice as much.
bool pairs_are_slow(Level level) {
#if defined(__x86_64__)
  return level == Level::kAvx512Bf16 && __builtin_cpu_is("intel");
#else
  return false;
#endif
}

}  // namespace

const char* level_name(Level level) noexcept {
  switch (level) {
    case Level::kAvx2: return "avx2";
    case Level::kAvx512: return "avx512";
    case Level::kAvx512Bf16: return "avx512bf16";
    case Level::kAmx: return "amx";
    case Level::kPortable: break;
  }
  return "portable";
}

bool available(Level level) noexcept {
  if (level == Level::kPortable) return true;
#if defined(__x86_64__)
  // The compiler's check covers the operating system's support for the wide registers too.
  const bool avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
  if (level == Level::kAvx2) return avx2;
  const bool avx512 = avx2 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                      __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
  if (level == Level::kAvx512) return avx512;
  const bool bf16 = avx512 && __builtin_cpu_supports("avx512bf16");
  return level == Level::kAvx512Bf16 ? bf16 : bf16 && tiles_available();
#else
  return false;
#endif
}

bool multiplies_bf16(Level level) noexcept { return level == Level::kAvx512Bf16 || level == Level::kAmx; }

Choice choose_level(const std::string& asked) {
  const char* environment = std::getenv("SDGEN_ISA");
  const bool forced = !asked.empty() || (environment != nullptr && *environment != '\0');
  if (!forced) {
    Level best = Level::kPortable;
    for (const Level level : kLevels) best = available(level) ? level : best;
    return {best, "the best that this processor and build have"};
  }
  const std::string name = asked.empty() ? environment : asked;
  const std::string source = asked.empty() ? "SDGEN_ISA" : "isa";
  std::string names;
  for (const Level level : kLevels) {
    names += std::string(names.empty() ? "" : ", ") + level_name(level);
    if (name != level_name(level)) continue;
    if (!available(level)) throw Error(ErrorCode::kDevice, source + "=" + name + ": this processor does not have it");
    return {level, "forced by " + source + "=" + name};
  }
  throw Error(ErrorCode::kDevice, source + "=" + name + " is no instruction set of ours; it may be " + names);
}

BackendInfo info() { return info(choose_level({})); }

BackendInfo info(const Choice& choice) {
  const bool bf16 = multiplies_bf16(choice.level);
  BackendInfo info{"cpu", "own SIMD kernels, " + choice.reason, level_name(choice.level), {"fp32"}};
  if (bf16) info.precisions.insert(pairs_are_slow(choice.level) ? info.precisions.begin() : info.precisions.end(), "bf16");
  if (!bf16) info.missing = std::string("needs a processor that multiplies it (AVX512-BF16 or AMX); running: ") + level_name(choice.level);
  return info;
}

}  // namespace sdgen::cpu
