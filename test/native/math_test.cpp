// Errors of base/math.h against the long double functions of libm, and its edges. libm is the independent formula here.
#include "base/math.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>
#include <vector>

#include "check.h"

namespace {

using namespace sdgen;

constexpr float kInf = std::numeric_limits<float>::infinity();
constexpr double kInf64 = std::numeric_limits<double>::infinity();

/// |got - exact| in units of the last place that T has at `exact` (subnormals: the last one).
template <typename T>
double ulps(T got, long double exact) {
  using Limits = std::numeric_limits<T>;
  if (std::isnan(got) || std::isnan(exact)) return std::isnan(got) && std::isnan(exact) ? 0.0 : HUGE_VAL;
  const bool overflows = std::fabs(exact) > static_cast<long double>(Limits::max());
  if (std::isinf(got) || overflows) {
    return std::isinf(got) && overflows && (got > 0) == (exact > 0) ? 0.0 : HUGE_VAL;
  }
  int exponent = 0;
  std::frexp(exact, &exponent);
  const int last = std::max(exponent - Limits::digits, Limits::min_exponent - Limits::digits);
  return static_cast<double>(std::ldexp(std::fabs(static_cast<long double>(got) - exact), -last));
}

struct Worst {
  double error = 0.0, at = 0.0;
  void see(double candidate, double x) {
    if (!(candidate <= error)) *this = {candidate, x};
  }
};

/// Every `step`-th float32 bit pattern of [low, high], 0 < low, and its negative if `both`.
template <typename F, typename G>
Worst sweep_bits(F ours, G exact, float low, float high, uint32_t step, bool both) {
  Worst worst;
  for (uint32_t bits = math::bits_of(low); bits <= math::bits_of(high); bits += step) {
    for (int sign = 0; sign <= (both ? 1 : 0); ++sign) {
      const float x = sign == 0 ? math::float_of(bits) : -math::float_of(bits);
      worst.see(ulps(ours(x), exact(static_cast<long double>(x))), static_cast<double>(x));
    }
  }
  return worst;
}

template <typename T, typename F, typename G>
Worst sweep_linear(F ours, G exact, T low, T high, int count) {
  Worst worst;
  for (int i = 0; i <= count; ++i) {
    const T x = static_cast<T>(low + (high - low) * (static_cast<T>(i) / static_cast<T>(count)));
    worst.see(ulps(ours(x), exact(static_cast<long double>(x))), static_cast<double>(x));
  }
  return worst;
}

void check_worst(const char* what, const Worst& worst, double bound) {
  CHECK_MSG(worst.error <= bound, what << ": " << worst.error << " ulp at " << std::hexfloat << worst.at);
}

const auto exp2_ours = [](float x) { return math::exp2_f32(x); };
const auto exp_ours = [](float x) { return math::exp_f32(x); };
const auto erf_ours = [](float x) { return math::erf_f32(x); };
const auto exp2_exact = [](long double x) { return std::exp2(x); };
const auto exp_exact = [](long double x) { return std::exp(x); };
const auto erf_exact = [](long double x) { return std::erf(x); };
const auto sin_exact = [](long double x) { return std::sin(x); };
const auto cos_exact = [](long double x) { return std::cos(x); };

}  // namespace

TEST(math_exp2_error) {
  check_worst("exp2 bits", sweep_bits(exp2_ours, exp2_exact, 1e-30f, 126.0f, 1511, true), 1.0);
  check_worst("exp2 linear", sweep_linear<float>(exp2_ours, exp2_exact, -126.0f, 127.0f, 300000), 1.0);
  check_worst("exp2 unit", sweep_linear<float>(exp2_ours, exp2_exact, -1.0f, 1.0f, 300000), 1.0);
}

TEST(math_exp2_edges) {
  for (int k = -126; k <= 127; ++k) CHECK_MSG(math::exp2_f32(static_cast<float>(k)) == std::ldexp(1.0f, k), k);
  for (const float low : {-126.5f, -1e30f, -kInf}) CHECK(math::exp2_f32(low) == 0x1p-126f);
  for (const float high : {127.5f, 1e30f, kInf}) CHECK(math::exp2_f32(high) == 0x1p127f);
  CHECK(math::exp2_f32(-0.0f) == 1.0f);
}

TEST(math_exp_error) {
  check_worst("exp bits", sweep_bits(exp_ours, exp_exact, 1e-30f, 120.0f, 1511, true), 1.0);
  check_worst("exp linear", sweep_linear<float>(exp_ours, exp_exact, -105.0f, 90.0f, 400000), 1.0);
  check_worst("exp subnormal results", sweep_linear<float>(exp_ours, exp_exact, -104.0f, -87.0f, 200000), 1.0);
}

TEST(math_exp_edges) {
  CHECK(math::exp_f32(0.0f) == 1.0f && math::exp_f32(-0.0f) == 1.0f);
  for (const float low : {-104.0f, -1000.0f, -3e38f, -kInf}) CHECK(math::bits_of(math::exp_f32(low)) == 0);
  for (const float high : {88.73f, 1000.0f, 3e38f, kInf}) CHECK(math::exp_f32(high) == kInf);
  // The largest float whose exponential is finite, and the next.
  CHECK(std::isfinite(math::exp_f32(0x1.62e42ep+6f)) && math::exp_f32(0x1.62e430p+6f) == kInf);
  CHECK(math::exp_f32(-103.9f) == 0x1p-149f);
}

TEST(math_erf_error) {
  check_worst("erf bits", sweep_bits(erf_ours, erf_exact, 1e-30f, 8.0f, 1511, true), 1.5);
  check_worst("erf linear", sweep_linear<float>(erf_ours, erf_exact, -5.0f, 5.0f, 400000), 1.5);
  check_worst("erf at the seam", sweep_bits(erf_ours, erf_exact, 0.99f, 1.01f, 1, true), 1.5);
}

TEST(math_erf_edges) {
  for (const float large : {3.95f, 4.0f, 5.0f, 3e38f, kInf}) {
    CHECK_MSG(math::erf_f32(large) == 1.0f && math::erf_f32(-large) == -1.0f, large);
  }
  CHECK(math::bits_of(math::erf_f32(0.0f)) == 0 && math::bits_of(math::erf_f32(-0.0f)) == 0x80000000u);
  for (float x = 1e-6f; x < 6.0f; x *= 1.01f) CHECK(math::erf_f32(-x) == -math::erf_f32(x));
  for (float x = 0.0f; x < 4.5f; x += 0.001f) CHECK(math::erf_f32(x) <= 1.0f);
}

TEST(math_activations) {
  // Relative to max(1, |x|): the formulas' own roundings, 1 + erf near -1 among them, are part of the contract.
  for (int i = -400000; i <= 400000; ++i) {
    const float x = static_cast<float>(i) * 1e-4f;
    const long double exact_x = x, scale = std::max(1.0L, std::fabs(exact_x));
    const long double silu = exact_x / (1.0L + std::exp(-exact_x));
    const long double gelu = 0.5L * exact_x * std::erfc(-exact_x * std::sqrt(0.5L));
    const long double quick = exact_x / (1.0L + std::exp(-1.702L * exact_x));
    CHECK_MSG(std::fabs(math::silu_f32(x) - silu) <= 2e-7L * scale, x);
    CHECK_MSG(std::fabs(math::gelu_f32(x) - gelu) <= 2e-7L * scale, x);
    CHECK_MSG(std::fabs(math::quick_gelu_f32(x) - quick) <= 2e-7L * scale, x);
  }
}

TEST(math_activation_edges) {
  for (const float large : {200.0f, 1e30f, 3e38f}) {
    CHECK(math::silu_f32(large) == large && math::gelu_f32(large) == large && math::quick_gelu_f32(large) == large);
    CHECK(math::silu_f32(-large) == 0.0f && math::gelu_f32(-large) == 0.0f && math::quick_gelu_f32(-large) == 0.0f);
  }
  CHECK(math::silu_f32(0.0f) == 0.0f && math::gelu_f32(0.0f) == 0.0f && math::quick_gelu_f32(0.0f) == 0.0f);
}

TEST(math_nan_stays_nan) {
  // Payloads too: bits of a NaN that reach the exponent arithmetic must not make a number of it.
  constexpr uint32_t kPayloads[] = {0x7fc00000u, 0x7fc00001u, 0x7fc12345u, 0xffffffffu, 0xffc00055u, 0x7fffffffu, 0x7f800001u};
  for (const uint32_t payload : kPayloads) {
    const float x = math::float_of(payload);
    CHECK(std::isnan(math::exp2_f32(x)) && std::isnan(math::exp_f32(x)) && std::isnan(math::erf_f32(x)));
    CHECK(std::isnan(math::silu_f32(x)) && std::isnan(math::gelu_f32(x)) && std::isnan(math::quick_gelu_f32(x)));
    CHECK(std::isnan(math::clamp(x, -1.0f, 1.0f)) && std::isnan(math::max(x, 0.0f)) && std::isnan(math::min(x, 0.0f)));
    const double wide = math::double_of(0x7ff0000000000001u | (static_cast<uint64_t>(payload) << 32) | payload);
    CHECK(std::isnan(math::exp_f64(wide)) && std::isnan(math::log_f64(wide)) && std::isnan(math::tanh_f64(wide)));
    CHECK(std::isnan(math::sin_f64(wide)) && std::isnan(math::cos_f64(wide)));
    CHECK(std::isnan(math::expm1_f64(wide)) && std::isnan(math::atan_f64(wide)));
  }
}

TEST(math_selects) {
  CHECK(math::max(1.0f, 2.0f) == 2.0f && math::max(2.0f, 1.0f) == 2.0f);
  CHECK(math::min(1.0f, 2.0f) == 1.0f && math::min(2.0f, 1.0f) == 1.0f);
  // Of equals, and of a number and a NaN, the first.
  CHECK(math::bits_of(math::max(-0.0f, 0.0f)) == 0x80000000u && math::bits_of(math::max(0.0f, -0.0f)) == 0);
  CHECK(math::bits_of(math::min(0.0f, -0.0f)) == 0);
  CHECK(math::max(1.0f, std::nanf("")) == 1.0f);
  CHECK(math::clamp(-3.0f, -1.0f, 1.0f) == -1.0f && math::clamp(3.0f, -1.0f, 1.0f) == 1.0f);
  CHECK(math::clamp(0.5f, -1.0f, 1.0f) == 0.5f);
}

TEST(math_double_error) {
  const auto exp_wide = [](double x) { return math::exp_f64(x); };
  const auto log_wide = [](double x) { return math::log_f64(x); };
  const auto sin_wide = [](double x) { return math::sin_f64(x); };
  const auto cos_wide = [](double x) { return math::cos_f64(x); };
  const auto tanh_wide = [](double x) { return math::tanh_f64(x); };
  const auto log_exact = [](long double x) { return std::log(x); };
  const auto tanh_exact = [](long double x) { return std::tanh(x); };
  const auto expm1_wide = [](double x) { return math::expm1_f64(x); };
  const auto expm1_exact = [](long double x) { return std::expm1(x); };
  const auto atan_wide = [](double x) { return math::atan_f64(x); };
  const auto atan_exact = [](long double x) { return std::atan(x); };
  check_worst("exp", sweep_linear(exp_wide, exp_exact, -744.9, 709.7, 300001), 1.0);
  check_worst("exp", sweep_linear(exp_wide, exp_exact, -1.0, 1.0, 300001), 1.0);
  check_worst("log", sweep_linear(log_wide, log_exact, 1e-9, 4.0, 300001), 1.0);
  check_worst("log", sweep_linear(log_wide, log_exact, 0.99, 1.01, 300001), 1.0);
  check_worst("log", sweep_linear(log_wide, log_exact, 1e-320, 1e-306, 100001), 1.0);
  check_worst("log", sweep_linear(log_wide, log_exact, 1.0, 1.7e308, 100001), 1.0);
  check_worst("sin", sweep_linear(sin_wide, sin_exact, -10.0, 10.0, 300001), 1.0);
  check_worst("sin", sweep_linear(sin_wide, sin_exact, -1e5, 1e5, 300001), 1.0);
  check_worst("cos", sweep_linear(cos_wide, cos_exact, -10.0, 10.0, 300001), 1.0);
  check_worst("cos", sweep_linear(cos_wide, cos_exact, -1e5, 1e5, 300001), 1.0);
  check_worst("tanh", sweep_linear(tanh_wide, tanh_exact, -25.0, 25.0, 300001), 2.0);
  check_worst("tanh", sweep_linear(tanh_wide, tanh_exact, -1.0, 1.0, 300001), 2.0);
  check_worst("expm1", sweep_linear(expm1_wide, expm1_exact, -30.0, 30.0, 300001), 8.0);
  check_worst("expm1", sweep_linear(expm1_wide, expm1_exact, -1e-5, 1e-5, 300001), 8.0);
  check_worst("atan", sweep_linear(atan_wide, atan_exact, -2.0, 2.0, 300001), 6.0);
  check_worst("atan", sweep_linear(atan_wide, atan_exact, -1e5, 1e5, 300001), 6.0);
}

TEST(math_sin_cos_next_to_multiples_of_half_pi) {
  // Where one of the two is tiny and only the third part of π/2 still tells.
  Worst worst;
  for (int k = 1; k <= 63661; ++k) {
    const double multiple = static_cast<double>(k) * 0x1.921fb54442d18p+0;
    for (const double x : {std::nextafter(multiple, 0.0), multiple, std::nextafter(multiple, 1e9)}) {
      worst.see(ulps(math::sin_f64(x), sin_exact(x)), x);
      worst.see(ulps(math::cos_f64(-x), cos_exact(x)), x);
    }
  }
  check_worst("sin, cos", worst, 1.0);
}

TEST(math_double_edges) {
  CHECK(math::exp_f64(0.0) == 1.0 && math::exp_f64(-kInf64) == 0.0 && math::exp_f64(kInf64) == kInf64);
  CHECK(math::exp_f64(-746.0) == 0.0 && math::exp_f64(710.0) == kInf64 && math::exp_f64(-745.1) == 0x1p-1074);
  CHECK(math::log_f64(1.0) == 0.0 && math::log_f64(0.0) == -kInf64 && math::log_f64(-0.0) == -kInf64);
  CHECK(math::log_f64(kInf64) == kInf64 && std::isnan(math::log_f64(-1.0)) && std::isnan(math::log_f64(-kInf64)));
  CHECK(math::sin_f64(0.0) == 0.0 && math::cos_f64(0.0) == 1.0);
  for (const double outside : {1.1e5, -1.1e5, 1e300, kInf64, -kInf64}) {
    CHECK(std::isnan(math::sin_f64(outside)) && std::isnan(math::cos_f64(outside)));
  }
  CHECK(math::tanh_f64(0.0) == 0.0 && math::tanh_f64(kInf64) == 1.0 && math::tanh_f64(-kInf64) == -1.0);
  CHECK(math::atan_f64(0.0) == 0.0 && math::atan_f64(kInf64) == 0x1.921fb54442d18p+0 && math::atan_f64(-1.5) == -math::atan_f64(1.5));
  CHECK(math::expm1_f64(0.0) == 0.0 && math::expm1_f64(-kInf64) == -1.0 && math::expm1_f64(kInf64) == kInf64);
  CHECK(math::tanh_f64(400.0) == 1.0 && math::tanh_f64(-0.7) == -math::tanh_f64(0.7));
}

TEST(math_loops_give_the_bits_of_single_calls) {
  // The loop is vectorised, the single call through a volatile is not.
  const auto mixed = [](float v) { return math::silu_f32(v) + math::gelu_f32(v) * math::exp2_f32(v * 0.125f); };
  std::vector<float> x(1003), y(x.size());
  for (size_t i = 0; i < x.size(); ++i) x[i] = (static_cast<float>(i) - 501.0f) * 0.219f;
  for (size_t i = 0; i < x.size(); ++i) y[i] = mixed(x[i]);
  for (size_t i = 0; i < x.size(); ++i) {
    volatile float one = x[i];
    CHECK_MSG(math::bits_of(y[i]) == math::bits_of(mixed(one)), i);
  }
}

TEST(math_bits_are_the_contract) {
  // A checksum over all functions: another compiler, flag or processor must give the same.
  uint64_t sum = 0xcbf29ce484222325u;
  const auto add = [&sum](uint64_t bits) { sum = (sum ^ bits) * 0x100000001b3u; };
  for (int i = -20000; i <= 20000; ++i) {
    const float x = static_cast<float>(i) * 0x1.3p-7f;
    const double wide = static_cast<double>(x);
    for (const float value : {math::exp2_f32(x), math::exp_f32(x), math::erf_f32(x * 0.02f), math::silu_f32(x),
                              math::gelu_f32(x * 0.04f), math::quick_gelu_f32(x)}) {
      add(math::bits_of(value));
    }
    for (const double value : {math::exp_f64(wide), math::log_f64(wide + 1000.0), math::sin_f64(wide * 3.0),
                               math::cos_f64(wide * 3.0), math::tanh_f64(wide * 0.05)}) {
      add(math::bits_of(value));
    }
  }
  CHECK_MSG(sum == 0xbf5f8aa9bb4eaa47u, std::hex << sum);
}
