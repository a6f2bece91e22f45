#pragma once
// Four float32 lanes in plain C++, for every processor: what the others must equal, and the pattern for a new level.
#include <cstdint>

#include "base/math.h"

namespace sdgen::cpu {
namespace {

struct F32 {
  static constexpr int kLanes = 4;
  static constexpr int kRegisters = 16;
  float v[kLanes];

  static F32 zero() { return all(0.0f); }
  static F32 all(float x) { return {{x, x, x, x}}; }
  static F32 load(const float* p) { return {{p[0], p[1], p[2], p[3]}}; }
  static F32 load(const float* p, int n) {
    F32 x = zero();
    for (int i = 0; i < n; ++i) x.v[i] = p[i];
    return x;
  }
  void store(float* p) const { store(p, kLanes); }
  void store(float* p, int n) const {
    for (int i = 0; i < n; ++i) p[i] = v[i];
  }
};

template <typename Each>
inline F32 lanes(Each each) {
  F32 x;
  for (int i = 0; i < F32::kLanes; ++i) x.v[i] = each(i);
  return x;
}
inline F32 operator+(F32 a, F32 b) { return lanes([&](int i) { return a.v[i] + b.v[i]; }); }
inline F32 operator-(F32 a, F32 b) { return lanes([&](int i) { return a.v[i] - b.v[i]; }); }
inline F32 operator*(F32 a, F32 b) { return lanes([&](int i) { return a.v[i] * b.v[i]; }); }
inline F32 operator/(F32 a, F32 b) { return lanes([&](int i) { return a.v[i] / b.v[i]; }); }
/// a·b + c, rounded once.
inline F32 fma(F32 a, F32 b, F32 c) { return lanes([&](int i) { return math::fma(a.v[i], b.v[i], c.v[i]); }); }
inline F32 negate(F32 a) { return lanes([&](int i) { return -a.v[i]; }); }
/// a < b ? b : a.
inline F32 max(F32 a, F32 b) { return lanes([&](int i) { return math::max(a.v[i], b.v[i]); }); }
/// b < a ? b : a.
inline F32 min(F32 a, F32 b) { return lanes([&](int i) { return math::min(a.v[i], b.v[i]); }); }
/// bits(a) + b, and bits(a) << 23, as integers.
inline F32 add_bits(F32 a, uint32_t b) { return lanes([&](int i) { return math::float_of(math::bits_of(a.v[i]) + b); }); }
inline F32 to_exponent(F32 a) { return lanes([&](int i) { return math::float_of(math::bits_of(a.v[i]) << 23); }); }
/// Lanes i >= first of `yes`, the others of `no`.
inline F32 from_lane(int64_t first, F32 yes, F32 no) { return lanes([&](int i) { return i >= first ? yes.v[i] : no.v[i]; }); }
/// Whether any lane of a and b differs.
inline bool differ(F32 a, F32 b) {
  for (int i = 0; i < F32::kLanes; ++i) {
    if (!(a.v[i] == b.v[i])) return true;
  }
  return false;
}
/// p · 2^n for a whole n in [-126, 127]; t = n + 1.5 · 2^23, whose lowest bits are n's.
inline F32 times_two_to(F32 p, F32, F32 t) { return p * add_bits(to_exponent(t), 0x3f800000u); }
/// Lane j of x[i] and lane i of x[j] change places.
inline void transpose_lanes(F32 (&x)[4]) {
  for (int i = 0; i < 4; ++i) {
    for (int j = i + 1; j < 4; ++j) {
      const float kept = x[i].v[j];
      x[i].v[j] = x[j].v[i];
      x[j].v[i] = kept;
    }
  }
}

}  // namespace
}  // namespace sdgen::cpu
