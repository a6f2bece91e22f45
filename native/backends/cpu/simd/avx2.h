#pragma once
// Eight float32 lanes in AVX2 and FMA. Included by one level's file only: its code must not meet another's.
#include <immintrin.h>

#include <cstdint>

namespace sdgen::cpu {
namespace {

struct F32 {
  static constexpr int kLanes = 8;
  static constexpr int kRegisters = 16;
  __m256 v;

  static F32 zero() { return {_mm256_setzero_ps()}; }
  static F32 all(float x) { return {_mm256_set1_ps(x)}; }
  static F32 load(const float* p) { return {_mm256_loadu_ps(p)}; }
  static F32 load(const float* p, int n) { return {_mm256_maskload_ps(p, first(n))}; }
  void store(float* p) const { _mm256_storeu_ps(p, v); }
  void store(float* p, int n) const { _mm256_maskstore_ps(p, first(n), v); }

 private:
  static __m256i first(int n) { return _mm256_cmpgt_epi32(_mm256_set1_epi32(n), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7)); }
};

inline F32 operator+(F32 a, F32 b) { return {_mm256_add_ps(a.v, b.v)}; }
inline F32 operator-(F32 a, F32 b) { return {_mm256_sub_ps(a.v, b.v)}; }
inline F32 operator*(F32 a, F32 b) { return {_mm256_mul_ps(a.v, b.v)}; }
inline F32 operator/(F32 a, F32 b) { return {_mm256_div_ps(a.v, b.v)}; }
/// a·b + c, rounded once.
inline F32 fma(F32 a, F32 b, F32 c) { return {_mm256_fmadd_ps(a.v, b.v, c.v)}; }
inline F32 negate(F32 a) { return {_mm256_xor_ps(a.v, _mm256_set1_ps(-0.0f))}; }
/// a < b ? b : a, as math::max: the instruction gives its second operand for a NaN and for equals.
inline F32 max(F32 a, F32 b) { return {_mm256_max_ps(b.v, a.v)}; }
/// b < a ? b : a, as math::min.
inline F32 min(F32 a, F32 b) { return {_mm256_min_ps(b.v, a.v)}; }
/// bits(a) + b, and bits(a) << 23, as integers.
inline F32 add_bits(F32 a, uint32_t b) {
  return {_mm256_castsi256_ps(_mm256_add_epi32(_mm256_castps_si256(a.v), _mm256_set1_epi32(static_cast<int>(b))))};
}
inline F32 to_exponent(F32 a) { return {_mm256_castsi256_ps(_mm256_slli_epi32(_mm256_castps_si256(a.v), 23))}; }
/// Lanes i >= first of `yes`, the others of `no`.
inline F32 from_lane(int64_t first, F32 yes, F32 no) {
  const int skipped = first < 0 ? 0 : (first < 8 ? static_cast<int>(first) : 8);
  const __m256i taken = _mm256_cmpgt_epi32(_mm256_setr_epi32(1, 2, 3, 4, 5, 6, 7, 8), _mm256_set1_epi32(skipped));
  return {_mm256_blendv_ps(no.v, yes.v, _mm256_castsi256_ps(taken))};
}
/// Whether any lane of a and b differs.
inline bool differ(F32 a, F32 b) { return _mm256_movemask_ps(_mm256_cmp_ps(a.v, b.v, _CMP_NEQ_UQ)) != 0; }
/// p · 2^n for a whole n in [-126, 127]; t = n + 1.5 · 2^23, whose lowest bits are n's.
inline F32 times_two_to(F32 p, F32, F32 t) { return p * add_bits(to_exponent(t), 0x3f800000u); }
/// Lane j of x[i] and lane i of x[j] change places.
inline void transpose_lanes(F32 (&x)[8]) {
  F32 y[8];
#pragma GCC unroll 4
  for (int i = 0; i < 8; i += 2) {
    y[i].v = _mm256_unpacklo_ps(x[i].v, x[i + 1].v);
    y[i + 1].v = _mm256_unpackhi_ps(x[i].v, x[i + 1].v);
  }
  // In each half: rows i … i + 3 of columns 0 to 3.
#pragma GCC unroll 2
  for (int i = 0; i < 8; i += 4) {
    x[i].v = _mm256_shuffle_ps(y[i].v, y[i + 2].v, 0x44);
    x[i + 1].v = _mm256_shuffle_ps(y[i].v, y[i + 2].v, 0xee);
    x[i + 2].v = _mm256_shuffle_ps(y[i + 1].v, y[i + 3].v, 0x44);
    x[i + 3].v = _mm256_shuffle_ps(y[i + 1].v, y[i + 3].v, 0xee);
  }
#pragma GCC unroll 4
  for (int i = 0; i < 4; ++i) {
    const __m256 a = x[i].v, b = x[i + 4].v;
    x[i].v = _mm256_permute2f128_ps(a, b, 0x20);
    x[i + 4].v = _mm256_permute2f128_ps(a, b, 0x31);
  }
}

}  // namespace
}  // namespace sdgen::cpu
