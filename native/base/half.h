#pragma once
// float32 to IEEE half precision, as the cards do it.
#include <cstdint>

#include "base/math.h"

namespace sdgen {

/// Rounded to nearest, ties to even; beyond 65504 infinity, a NaN stays one.
inline uint16_t f32_to_f16(float x) noexcept {
  const uint32_t bits = math::bits_of(x), sign = bits >> 16 & 0x8000u, magnitude = bits & 0x7fffffffu;
  if (magnitude > 0x7f800000u) return static_cast<uint16_t>(sign | 0x7e00u);
  if (magnitude >= 0x477ff000u) return static_cast<uint16_t>(sign | 0x7c00u);
  if (magnitude < 0x38800000u) {
    // A subnormal is a multiple of 2^-24: adding 0.5 leaves that many units in the last bits of the sum, rounded.
    return static_cast<uint16_t>(sign | (math::bits_of(math::float_of(magnitude) + 0.5f) - 0x3f000000u));
  }
  return static_cast<uint16_t>(sign | ((magnitude - 0x38000000u + 0xfffu + (magnitude >> 13 & 1u)) >> 13));
}

}  // namespace sdgen
