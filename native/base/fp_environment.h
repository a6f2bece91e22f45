#pragma once
// The contract needs round-to-nearest and gradual underflow; another library in the process may have switched to
// flush-to-zero, and threads inherit that.
#include <cstdint>

#if defined(__x86_64__) || defined(__i386__)
#include <xmmintrin.h>
#define SDGEN_HAS_MXCSR 1
#endif

namespace sdgen {

/// While it lives, this thread has the default floating-point mode (MXCSR 0x1f80: nearest, no FTZ, no DAZ, no traps).
/// On other processors it does nothing. Put one around all arithmetic done on a borrowed thread.
class FpEnvironment {
 public:
#ifdef SDGEN_HAS_MXCSR
  FpEnvironment() noexcept : saved_(_mm_getcsr()) { _mm_setcsr(kDefault); }
  ~FpEnvironment() { _mm_setcsr(saved_); }
#else
  FpEnvironment() noexcept {}
  ~FpEnvironment() {}
#endif
  FpEnvironment(const FpEnvironment&) = delete;
  FpEnvironment& operator=(const FpEnvironment&) = delete;

 private:
#ifdef SDGEN_HAS_MXCSR
  static constexpr uint32_t kDefault = 0x1f80;
  uint32_t saved_;
#endif
};

}  // namespace sdgen
