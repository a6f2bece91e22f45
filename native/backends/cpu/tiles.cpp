#include "backends/cpu/tiles.h"

#if defined(__x86_64__) && defined(__linux__)
#include <cpuid.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace sdgen::cpu {
namespace {

// Intel SDM vol. 2, CPUID leaf 7: EDX bit 22 AMX-BF16, bit 24 AMX-TILE; leaf 1: ECX bit 27 OSXSAVE.
constexpr unsigned kAmxBf16 = 1u << 22, kAmxTile = 1u << 24, kOsXsave = 1u << 27;
// XCR0: SSE, AVX, the three parts of AVX-512, tile shapes and tile data.
constexpr unsigned kStates = 0x600e6;
// linux/arch/x86/include/uapi/asm/prctl.h
constexpr long kRequestPermission = 0x1023;
constexpr long kTileData = 18;

bool ask() noexcept {
  unsigned a = 0, b = 0, c = 0, d = 0;
  if (__get_cpuid(1, &a, &b, &c, &d) == 0 || (c & kOsXsave) == 0) return false;
  if (__get_cpuid_count(7, 0, &a, &b, &c, &d) == 0 || (d & kAmxBf16) == 0 || (d & kAmxTile) == 0) return false;
  unsigned low = 0, high = 0;
  asm volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
  return (low & kStates) == kStates && syscall(SYS_arch_prctl, kRequestPermission, kTileData) == 0;
}

}  // namespace

bool tiles_available() noexcept {
  static const bool available = ask();
  return available;
}

}  // namespace sdgen::cpu
#else
namespace sdgen::cpu {

bool tiles_available() noexcept { return false; }

}  // namespace sdgen::cpu
#endif
