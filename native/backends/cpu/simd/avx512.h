#pragma once
// Sixteen float32 lanes in AVX-512 (F, BW, DQ, VL). Included by one level's file only: its code must not meet another's.
#include <immintrin.h>

#include <cstdint>

#include "backends/cpu/kernels/storage.h"

namespace sdgen::cpu {
namespace {

struct F32 {
  static constexpr int kLanes = 16;
  static constexpr int kRegisters = 32;
  __m512 v;

  static F32 zero() { return {_mm512_setzero_ps()}; }
  static F32 all(float x) { return {_mm512_set1_ps(x)}; }
  static F32 load(const float* p) { return {_mm512_loadu_ps(p)}; }
  static F32 load(const float* p, int n) { return {_mm512_maskz_loadu_ps(first(n), p)}; }
  static F32 load(const Bf16* p) { return widen(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p))); }
  static F32 load(const Bf16* p, int n) { return widen(_mm256_maskz_loadu_epi16(first(n), p)); }
  void store(float* p) const { _mm512_storeu_ps(p, v); }
  void store(float* p, int n) const { _mm512_mask_storeu_ps(p, first(n), v); }
  void store(Bf16* p) const { _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), narrow(v)); }
  void store(Bf16* p, int n) const { _mm256_mask_storeu_epi16(p, first(n), narrow(v)); }

 private:
  static __mmask16 first(int n) { return static_cast<__mmask16>((1u << n) - 1u); }
  static F32 widen(__m256i bits) { return {_mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(bits), 16))}; }
  /// To nearest, ties to even; a NaN stays one.
  static __m256i narrow(__m512 x) {
#ifdef __AVX512BF16__
    return (__m256i)_mm512_cvtneps_pbh(x);
#else
    const __m512i bits = _mm512_castps_si512(x);
    const __m512i odd = _mm512_and_si512(_mm512_srli_epi32(bits, 16), _mm512_set1_epi32(1));
    const __m512i rounded = _mm512_add_epi32(bits, _mm512_add_epi32(odd, _mm512_set1_epi32(0x7fff)));
    const __mmask16 nan = _mm512_cmp_ps_mask(x, x, _CMP_UNORD_Q);
    return _mm512_cvtepi32_epi16(_mm512_srli_epi32(_mm512_mask_mov_epi32(rounded, nan, _mm512_set1_epi32(0x7fc00000)), 16));
#endif
  }
};

inline F32 operator+(F32 a, F32 b) { return {_mm512_add_ps(a.v, b.v)}; }
inline F32 operator-(F32 a, F32 b) { return {_mm512_sub_ps(a.v, b.v)}; }
inline F32 operator*(F32 a, F32 b) { return {_mm512_mul_ps(a.v, b.v)}; }
inline F32 operator/(F32 a, F32 b) { return {_mm512_div_ps(a.v, b.v)}; }
/// a·b + c, rounded once.
inline F32 fma(F32 a, F32 b, F32 c) { return {_mm512_fmadd_ps(a.v, b.v, c.v)}; }
inline F32 negate(F32 a) { return {_mm512_xor_ps(a.v, _mm512_set1_ps(-0.0f))}; }
/// a < b ? b : a, as math::max: the instruction gives its second operand for a NaN and for equals.
inline F32 max(F32 a, F32 b) { return {_mm512_max_ps(b.v, a.v)}; }
/// b < a ? b : a, as math::min.
inline F32 min(F32 a, F32 b) { return {_mm512_min_ps(b.v, a.v)}; }
/// bits(a) + b, and bits(a) << 23, as integers.
inline F32 add_bits(F32 a, uint32_t b) {
  return {_mm512_castsi512_ps(_mm512_add_epi32(_mm512_castps_si512(a.v), _mm512_set1_epi32(static_cast<int>(b))))};
}
inline F32 to_exponent(F32 a) { return {_mm512_castsi512_ps(_mm512_slli_epi32(_mm512_castps_si512(a.v), 23))}; }
/// Lanes i >= first of `yes`, the others of `no`.
inline F32 from_lane(int64_t first, F32 yes, F32 no) {
  const int skipped = first < 0 ? 0 : (first < 16 ? static_cast<int>(first) : 16);
  return {_mm512_mask_mov_ps(no.v, static_cast<__mmask16>(0xffffu << skipped), yes.v)};
}
/// Whether any lane of a and b differs.
inline bool differ(F32 a, F32 b) { return _mm512_cmp_ps_mask(a.v, b.v, _CMP_NEQ_UQ) != 0; }
/// p · 2^n for a whole n in [-126, 127].
inline F32 times_two_to(F32 p, F32 n, F32) { return {_mm512_scalef_ps(p.v, n.v)}; }
/// Lane j of x[i] and lane i of x[j] change places.
inline void transpose_lanes(F32 (&x)[16]) {
  F32 y[16];
#pragma GCC unroll 8
  for (int i = 0; i < 16; i += 2) {
    y[i].v = _mm512_unpacklo_ps(x[i].v, x[i + 1].v);
    y[i + 1].v = _mm512_unpackhi_ps(x[i].v, x[i + 1].v);
  }
  // In each of the four quarters: rows i … i + 3 of columns 0 to 3.
#pragma GCC unroll 4
  for (int i = 0; i < 16; i += 4) {
    const auto low = [&](int a) { return _mm512_castps_pd(y[i + a].v); };
    x[i].v = _mm512_castpd_ps(_mm512_unpacklo_pd(low(0), low(2)));
    x[i + 1].v = _mm512_castpd_ps(_mm512_unpackhi_pd(low(0), low(2)));
    x[i + 2].v = _mm512_castpd_ps(_mm512_unpacklo_pd(low(1), low(3)));
    x[i + 3].v = _mm512_castpd_ps(_mm512_unpackhi_pd(low(1), low(3)));
  }
  // Quarters change places: first those of neighbours, then those of both halves.
#pragma GCC unroll 4
  for (int i = 0; i < 4; ++i) {
    const __m512 a = _mm512_shuffle_f32x4(x[i].v, x[i + 4].v, 0x88), b = _mm512_shuffle_f32x4(x[i].v, x[i + 4].v, 0xdd);
    const __m512 c = _mm512_shuffle_f32x4(x[i + 8].v, x[i + 12].v, 0x88), d = _mm512_shuffle_f32x4(x[i + 8].v, x[i + 12].v, 0xdd);
    y[i].v = _mm512_shuffle_f32x4(a, c, 0x88);
    y[i + 8].v = _mm512_shuffle_f32x4(a, c, 0xdd);
    y[i + 4].v = _mm512_shuffle_f32x4(b, d, 0x88);
    y[i + 12].v = _mm512_shuffle_f32x4(b, d, 0xdd);
  }
#pragma GCC unroll 16
  for (int i = 0; i < 16; ++i) x[i] = y[i];
}

}  // namespace
}  // namespace sdgen::cpu
