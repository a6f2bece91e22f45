#pragma once
// Our own elementary functions: the same bits on every compiler, instruction set and (later) device.
//
// Only IEEE +, -, *, /, fma and integer bit operations, in a written order (docs/numerics.md, "Functions"); never libm,
// whose results differ between systems. The float32 ones have no branches, tables or calls, so loops over them are
// vectorised with the same bits. A NaN always comes out as a NaN: clamps are written so that they keep it.
// Compile with -ffp-contract=off. They assume round-to-nearest and no flush-to-zero (base/fp_environment.h).
#include <cstdint>

#ifdef __CUDACC__
#define SDGEN_HOST_DEVICE __host__ __device__
#else
#define SDGEN_HOST_DEVICE
#endif
// Always inlined: an out-of-line copy compiled for one instruction set could be linked into code meant for another.
#define SDGEN_MATH SDGEN_HOST_DEVICE inline __attribute__((always_inline))

namespace sdgen::math {

SDGEN_MATH float fma(float a, float b, float c) noexcept {
#ifdef __CUDA_ARCH__
  return __fmaf_rn(a, b, c);
#else
  return __builtin_fmaf(a, b, c);
#endif
}
SDGEN_MATH double fma(double a, double b, double c) noexcept {
#ifdef __CUDA_ARCH__
  return __fma_rn(a, b, c);
#else
  return __builtin_fma(a, b, c);
#endif
}
SDGEN_MATH uint32_t bits_of(float x) noexcept { return __builtin_bit_cast(uint32_t, x); }
SDGEN_MATH uint64_t bits_of(double x) noexcept { return __builtin_bit_cast(uint64_t, x); }
SDGEN_MATH float float_of(uint32_t bits) noexcept { return __builtin_bit_cast(float, bits); }
SDGEN_MATH double double_of(uint64_t bits) noexcept { return __builtin_bit_cast(double, bits); }

/// a < b ? b : a. Of a NaN and a number it gives `a`; of -0 and +0 it gives `a`.
SDGEN_MATH float max(float a, float b) noexcept { return a < b ? b : a; }
/// b < a ? b : a. Of a NaN and a number it gives `a`.
SDGEN_MATH float min(float a, float b) noexcept { return b < a ? b : a; }

/// condition ? a : b as bit masks: a plain select lets the compiler split the loop body by its outcome, and a loop with
/// branches is not vectorised.
SDGEN_MATH float select(bool condition, float a, float b) noexcept {
  const uint32_t mask = 0u - static_cast<uint32_t>(condition);
  return float_of((bits_of(a) & mask) | (bits_of(b) & ~mask));
}
/// x < low ? low : x, then high < x ? high : x. A NaN stays.
SDGEN_MATH float clamp(float x, float low, float high) noexcept {
  x = select(x < low, low, x);
  return select(high < x, high, x);
}

// ---- float32 ----

/// 2^clamp(x, -126, 127); never zero, subnormal or infinite. Error <= 1 ulp.
SDGEN_MATH float exp2_f32(float x) noexcept {
  x = clamp(x, -126.0f, 127.0f);
  const float t = x + 0x1.8p23f;
  const float r = x - (t - 0x1.8p23f);
  float p = 0x1.416b52p-13f;
  p = fma(p, r, 0x1.5f082ep-10f);
  p = fma(p, r, 0x1.3b2de0p-7f);
  p = fma(p, r, 0x1.c6af7cp-5f);
  p = fma(p, r, 0x1.ebfbdcp-3f);
  p = fma(p, r, 0x1.62e430p-1f);
  p = fma(p, r, 1.0f);
  // The bits of p + (bits(t) << 23), as a product so that the payload of a NaN cannot turn it into a number.
  return p * float_of((bits_of(t) << 23) + 0x3f800000u);
}

/// e^x over the whole range: 0 below about -103.97, subnormal below -87.34, +inf above about 88.72. Error <= 1 ulp.
SDGEN_MATH float exp_f32(float x) noexcept {
  x = clamp(x, -104.0f, 89.0f);
  const float t = fma(x, 0x1.715476p+0f, 0x1.8p23f);
  const float n = t - 0x1.8p23f;
  float r = fma(n, -0x1.62e430p-1f, x);
  r = fma(n, 0x1.05c610p-29f, r);
  float p = 0x1.6a3d08p-10f;
  p = fma(p, r, 0x1.123856p-7f);
  p = fma(p, r, 0x1.5558bep-5f);
  p = fma(p, r, 0x1.555494p-3f);
  p = fma(p, r, 0x1.fffffcp-2f);
  p = fma(p, r, 1.0f);
  p = fma(p, r, 1.0f);
  // n is in [-150, 128]: two powers of two, the first product exact, the second rounding once (subnormals, infinity).
  const int32_t k = static_cast<int32_t>(bits_of(t) - 0x4b400000u);
  const int32_t half = k >> 1;
  const float first = float_of((static_cast<uint32_t>(half) << 23) + 0x3f800000u);
  const float second = float_of((static_cast<uint32_t>(k - half) << 23) + 0x3f800000u);
  return (p * first) * second;
}

/// The error function. Error <= 1.5 ulp; erf(-x) = -erf(x) bit for bit.
SDGEN_MATH float erf_f32(float x) noexcept {
  const float a = float_of(bits_of(x) & 0x7fffffffu);
  const float s = x * x;
  float u = 0x1.4771fep-14f;
  u = fma(u, s, -0x1.a3515ep-11f);
  u = fma(u, s, 0x1.53f224p-8f);
  u = fma(u, s, -0x1.b7f71ap-6f);
  u = fma(u, s, 0x1.ce2ce6p-4f);
  u = fma(u, s, -0x1.81273ep-2f);
  u = fma(u, s, 0x1.06eba8p-3f);
  u = fma(u, x, x);
  const float b = clamp(a, 0.0f, 4.0f);
  float q = -0x1.19f00ep-12f;
  q = fma(q, b, 0x1.16b0eep-8f);
  q = fma(q, b, -0x1.0217b2p-5f);
  q = fma(q, b, 0x1.30a486p-3f);
  q = fma(q, b, 0x1.d75f40p-1f);
  q = fma(q, b, 0x1.a0448cp+0f);
  q = fma(q, b, 0x1.02529cp-11f);
  const float tail = 1.0f - exp2_f32(-q);
  const float v = float_of(bits_of(tail) | (bits_of(x) & 0x80000000u));
  return select(a < 1.0f, u, v);
}

/// y / (1 + exp(-y)).
SDGEN_MATH float silu_f32(float y) noexcept { return y / (1.0f + exp_f32(-y)); }
/// (0.5·x)·(1 + erf(x·√½)), the exact GELU.
SDGEN_MATH float gelu_f32(float x) noexcept { return (0.5f * x) * (1.0f + erf_f32(x * 0x1.6a09e6p-1f)); }
/// x / (1 + exp(-1.702·x)), CLIP's GELU.
SDGEN_MATH float quick_gelu_f32(float x) noexcept { return x / (1.0f + exp_f32(-0x1.b3b646p+0f * x)); }

// ---- float64 (host side of noise, schedules and embeddings; scalar) ----

/// e^x over the whole range (0 below about -745.1, +inf above about 709.8). Error <= 1 ulp.
SDGEN_MATH double exp_f64(double x) noexcept {
  x = x < -746.0 ? -746.0 : x;
  x = x > 710.0 ? 710.0 : x;
  const double t = fma(x, 0x1.71547652b82fep+0, 0x1.8p52);
  const double n = t - 0x1.8p52;
  double r = fma(n, -0x1.62e42fefa39efp-1, x);
  r = fma(n, -0x1.abc9e3b39803fp-56, r);
  double q = 0x1.1f730349868cep-29;
  q = fma(q, r, 0x1.af4de97ca4194p-26);
  q = fma(q, r, 0x1.27e4db646b17ep-22);
  q = fma(q, r, 0x1.71de0231960ebp-19);
  q = fma(q, r, 0x1.a01a01a6d889cp-16);
  q = fma(q, r, 0x1.a01a01abe7fe1p-13);
  q = fma(q, r, 0x1.6c16c16c162d4p-10);
  q = fma(q, r, 0x1.11111111100dcp-7);
  q = fma(q, r, 0x1.5555555555556p-5);
  q = fma(q, r, 0x1.5555555555557p-3);
  q = fma(q, r, 0.5);
  const double p = 1.0 + fma(r * r, q, r);
  const int32_t k = static_cast<int32_t>(static_cast<uint32_t>(bits_of(t)));
  const int32_t half = k >> 1;
  const double first = double_of((static_cast<uint64_t>(half) << 52) + 0x3ff0000000000000u);
  const double second = double_of((static_cast<uint64_t>(k - half) << 52) + 0x3ff0000000000000u);
  return (p * first) * second;
}

/// Natural logarithm; subnormals too. log(±0) = -inf, of a negative number NaN. Error <= 1 ulp.
SDGEN_MATH double log_f64(double x) noexcept {
  if (!(x > 0.0)) return x == 0.0 ? double_of(0xfff0000000000000u) : double_of(0x7ff8000000000000u);
  if (x > 0x1.fffffffffffffp+1023) return x;
  const bool subnormal = x < 0x1p-1022;
  const uint64_t bits = bits_of(subnormal ? x * 0x1p54 : x);
  // x = 2^k · m, m in about [√½, √2): 0x3fe6a09e… is √½.
  const uint64_t shifted = bits - 0x3fe6a09e00000000u;
  const int32_t exponent = static_cast<int32_t>(static_cast<int64_t>(shifted) >> 52);
  const double m = double_of((shifted & 0x000fffffffffffffu) + 0x3fe6a09e00000000u);
  const double k = static_cast<double>(exponent - (subnormal ? 54 : 0));
  // log(1 + f) = f - s·(f - R(s²)) with s = f/(2 + f), from 2·atanh(s) = 2s + s·R and 2s = f - s·f.
  const double f = m - 1.0;
  const double s = f / (2.0 + f);
  const double z = s * s;
  double u = 0x1.0c04595972ab8p-3;
  u = fma(u, z, 0x1.0fbe83c2cbcf3p-3);
  u = fma(u, z, 0x1.3b1c360763b8ap-3);
  u = fma(u, z, 0x1.745cf901605f7p-3);
  u = fma(u, z, 0x1.c71c720160b47p-3);
  u = fma(u, z, 0x1.2492492476c87p-2);
  u = fma(u, z, 0x1.9999999999a38p-2);
  u = fma(u, z, 0x1.5555555555555p-1);
  const double w = fma(-s, fma(-u, z, f), k * 0x1.abc9e3b39803fp-56);
  return fma(k, 0x1.62e42fefa39efp-1, f + w);
}

/// An angle as quadrant·π/2 + (hi + lo), |hi| <= about π/4.
struct ReducedAngle {
  double hi, lo;
  uint32_t quadrant;
};

/// Three-part Cody-Waite reduction by π/2 for |x| <= 1e5; the first product cancels exactly under fma.
SDGEN_MATH ReducedAngle reduce_half_pi(double x) noexcept {
  const double t = fma(x, 0x1.45f306dc9c883p-1, 0x1.8p52);
  const double n = t - 0x1.8p52;
  const double a = fma(n, -0x1.921fb54442d18p+0, x);
  const double p = n * -0x1.1a62633145c07p-54;
  const double p_error = fma(n, -0x1.1a62633145c07p-54, -p);
  const double hi = a + p;
  const double p_seen = hi - a;
  const double sum_error = (a - (hi - p_seen)) + (p - p_seen);
  const double lo = fma(n, 0x1.f1976b7ed8fbcp-110, sum_error + p_error);
  return {hi, lo, static_cast<uint32_t>(bits_of(t)) & 3u};
}

/// sin(hi + lo), |hi| <= about π/4.
SDGEN_MATH double sin_kernel_f64(double hi, double lo) noexcept {
  const double z = hi * hi;
  double u = -0x1.ab17a79237a19p-41;
  u = fma(u, z, 0x1.61217ec01749dp-33);
  u = fma(u, z, -0x1.ae64541266378p-26);
  u = fma(u, z, 0x1.71de3a54605eep-19);
  u = fma(u, z, -0x1.a01a01a019936p-13);
  u = fma(u, z, 0x1.1111111111110p-7);
  u = fma(u, z, -0x1.5555555555555p-3);
  return hi + fma(hi * z, u, fma(-0.5 * z, lo, lo));
}

/// cos(hi + lo), |hi| <= about π/4.
SDGEN_MATH double cos_kernel_f64(double hi, double lo) noexcept {
  const double z = hi * hi;
  double u = 0x1.ab783376962cfp-45;
  u = fma(u, z, -0x1.9394b9c9c20a4p-37);
  u = fma(u, z, 0x1.1eed8deb6d561p-29);
  u = fma(u, z, -0x1.27e4fb7712bdfp-22);
  u = fma(u, z, 0x1.a01a01a019d0ap-16);
  u = fma(u, z, -0x1.6c16c16c16c16p-10);
  u = fma(u, z, 0x1.5555555555555p-5);
  const double h = 0.5 * z;
  const double w = 1.0 - h;
  return w + (((1.0 - w) - h) + fma(z * z, u, -hi * lo));
}

/// NaN outside |x| <= 1e5, where the reduction would lose accuracy. Error <= 1 ulp inside.
SDGEN_MATH double sin_f64(double x) noexcept {
  if (!(x >= -1e5 && x <= 1e5)) return double_of(0x7ff8000000000000u);
  const ReducedAngle angle = reduce_half_pi(x);
  const double y = (angle.quadrant & 1u) != 0 ? cos_kernel_f64(angle.hi, angle.lo) : sin_kernel_f64(angle.hi, angle.lo);
  return (angle.quadrant & 2u) != 0 ? -y : y;
}

/// NaN outside |x| <= 1e5, where the reduction would lose accuracy. Error <= 1 ulp inside.
SDGEN_MATH double cos_f64(double x) noexcept {
  if (!(x >= -1e5 && x <= 1e5)) return double_of(0x7ff8000000000000u);
  const ReducedAngle angle = reduce_half_pi(x);
  const double y = (angle.quadrant & 1u) != 0 ? sin_kernel_f64(angle.hi, angle.lo) : cos_kernel_f64(angle.hi, angle.lo);
  return ((angle.quadrant + 1u) & 2u) != 0 ? -y : y;
}

/// Error <= 2 ulp; tanh(-x) = -tanh(x) bit for bit.
SDGEN_MATH double tanh_f64(double x) noexcept {
  const double a = x < 0.0 ? -x : x;
  if (a < 0.625) {
    const double z = x * x;
    double u = 0x1.b33642a122cddp-18;
    u = fma(u, z, -0x1.05bbdae896297p-15);
    u = fma(u, z, 0x1.8445870f6fe41p-14);
    u = fma(u, z, -0x1.f243823c8c981p-13);
    u = fma(u, z, 0x1.3526e9ed54da1p-11);
    u = fma(u, z, -0x1.7d9f6f23e8682p-10);
    u = fma(u, z, 0x1.d6d39ae3905e2p-9);
    u = fma(u, z, -0x1.226e3473dce5cp-7);
    u = fma(u, z, 0x1.664f487e0a749p-6);
    u = fma(u, z, -0x1.ba1ba1ba0f126p-5);
    u = fma(u, z, 0x1.11111111110a8p-3);
    u = fma(u, z, -0x1.5555555555555p-2);
    return fma(u * z, x, x);
  }
  const double y = 1.0 - 2.0 / (exp_f64(2.0 * a) + 1.0);
  return x < 0.0 ? -y : y;
}

/// e^x - 1 without the cancellation near 0. Error <= 8 ulp.
SDGEN_MATH double expm1_f64(double x) noexcept {
  if (!(x > -0.5 && x < 0.5)) return exp_f64(x) - 1.0;
  const double t = tanh_f64(0.5 * x);
  return 2.0 * t / (1.0 - t);
}

/// Error <= 6 ulp; atan(-x) = -atan(x) bit for bit.
SDGEN_MATH double atan_f64(double x) noexcept {
  const double a = x < 0.0 ? -x : x;
  double r = a > 1.0 ? 1.0 / a : a;
  // Half the angle three times: r <= tan(π/32), where nine terms of the series are enough.
  for (int i = 0; i < 3; ++i) r = r / (1.0 + __builtin_sqrt(fma(r, r, 1.0)));
  const double z = r * r;
  double u = 1.0 / 17.0;
  for (int k = 7; k >= 0; --k) u = fma(-u, z, 1.0 / (2 * k + 1));
  const double angle = 8.0 * (u * r);
  const double y = a > 1.0 ? 0x1.921fb54442d18p+0 - angle : angle;
  return x < 0.0 ? -y : y;
}

}  // namespace sdgen::math
