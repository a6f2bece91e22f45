// Every op of the cpu backend against reference, at every level that this processor has: fp32 by equal bytes.
#include <algorithm>

#include "backends/cpu/dispatch.h"
#include "op_cases.h"

using namespace sdgen_test;

namespace {

constexpr int kThreads[] = {1, 2, 3, 8};

std::vector<std::string> levels() {
  std::vector<std::string> names;
  for (const sdgen::cpu::Level level : sdgen::cpu::kLevels) {
    if (available(level)) names.emplace_back(level_name(level));
  }
  return names;
}

/// One case: the bytes of reference at every level and with every number of threads.
void check_same(const Ready& ready, const std::string& name) {
  const Floats expected = run_on(ready, 1);
  for (const std::string& level : levels()) {
    for (const int threads : kThreads) {
      const Floats got = run_on(ready, cpu_backend_of(level, "fp32", threads));
      CHECK_MSG(same_bits(got, expected), name << " at " << level << " with " << threads << " threads");
    }
  }
}

template <typename Cases>
void check_cases(const Cases& cases) {
  for (const auto& c : cases) check_same(c.make(), c.text());
}

}  // namespace

TEST(cpu_linear_has_the_bytes_of_reference) { check_cases(linear_cases()); }
TEST(cpu_conv2d_has_the_bytes_of_reference) { check_cases(conv_cases()); }
TEST(cpu_group_norm_has_the_bytes_of_reference) { check_cases(group_norm_cases()); }
TEST(cpu_layer_norm_has_the_bytes_of_reference) { check_cases(layer_norm_cases()); }
TEST(cpu_attention_has_the_bytes_of_reference) { check_cases(attention_cases()); }

// What a backend needs besides the arena is part of a memory estimate: attention packs all keys and values.
TEST(cpu_scratch_is_counted) {
  Ready ready = AttentionCase{1, 64, 4096, 8, 40, false, 1.0f}.make();
  sdgen::Backend& cpu = cpu_backend_of("portable", "fp32", 2);
  cpu.adapt(ready.program);
  CHECK(cpu.scratch_bytes(ready.program) >= 2 * 4096 * 8 * 40 * 4);
  CHECK(backend_of(2).scratch_bytes(ready.program) == 0);
}

// The order of a sum is what these tests hold: the same products in another order must show.
TEST(cpu_tests_notice_another_order) {
  const Ready ready = LinearCase{{1, 5, 641}, 33, false, sdgen::Activation::kNone, false}.make();
  Ready turned = ready;
  for (int64_t row = 0; row < 5; ++row) std::reverse(turned.inputs[0].begin() + row * 641, turned.inputs[0].begin() + (row + 1) * 641);
  for (int64_t out = 0; out < 33; ++out) std::reverse(turned.weights[0].begin() + out * 641, turned.weights[0].begin() + (out + 1) * 641);
  const Floats expected = run_on(ready, 1);
  for (const std::string& level : levels()) {
    const Floats got = run_on(turned, cpu_backend_of(level, "fp32", 1));
    CHECK_MSG(!same_bits(got, expected), level << ": a reversed sum has the same bytes");
    for (size_t i = 0; i < got.size(); ++i) CHECK_MSG(std::fabs(got[i] - expected[i]) < 1e-4f, level << ": another sum at " << i);
  }
}

namespace {

/// bf16 keeps 8 bits: operands and results err by up to 2^-8 each. Sums of random signs cancel, most of all in the cases
/// of one or two outputs, where a few of these errors stand against a small result: 2^-6 of the output's root mean square
/// (the largest seen is 1.3e-2). A wrong kernel errs by about 1.
constexpr double kBf16Error = 0x1p-6;

template <typename Cases>
void check_bf16(const Cases& cases, const std::string& level) {
  size_t differing = 0;
  for (const auto& c : cases) {
    const Ready ready = c.make();
    const Floats exact = run_on(ready, 1), once = run_on(ready, cpu_backend_of(level, "bf16", 1));
    double error = 0, size = 0;
    for (size_t i = 0; i < exact.size(); ++i) {
      error += std::pow(static_cast<double>(once[i]) - static_cast<double>(exact[i]), 2);
      size += std::pow(static_cast<double>(exact[i]), 2);
    }
    CHECK_MSG(error <= kBf16Error * kBf16Error * size || error < 1e-6, level << ": " << c.text() << ": relative error " << std::sqrt(error / size));
    differing += same_bits(exact, once) ? 0 : 1;
    for (const int threads : {2, 3, 8}) {
      CHECK_MSG(same_bits(run_on(ready, cpu_backend_of(level, "bf16", threads)), once), c.text() << " with " << threads << " threads");
    }
  }
  CHECK_MSG(2 * differing > cases.size(), "bf16 gave the bytes of fp32 in most cases");
}

template <typename Cases>
void check_bf16(const Cases& cases) {
  for (const sdgen::cpu::Level level : sdgen::cpu::kLevels) {
    if (available(level) && sdgen::cpu::multiplies_bf16(level)) check_bf16(cases, level_name(level));
  }
}

}  // namespace

namespace {

struct GegluCase {
  Shape x;
  int64_t out;  // of the linear: twice that of both
  bool bias;
  std::string text() const { return "geglu of linear " + x.text() + " -> " + std::to_string(out) + (bias ? " bias" : ""); }
  Ready make() const {
    Bench bench(static_cast<uint64_t>(x.elements() * 53 + out));
    return bench.finish(bench.builder.geglu(bench.builder.linear("w", bench.input(x), out, {.bias = bias})));
  }
};

/// Halves that fill whole vectors are computed side by side, those of 66 and 96 outputs in two steps.
const std::vector<GegluCase> kGegluCases = {{{1, 1, 7}, 256, true},    {{2, 5, 33}, 256, false}, {{1, 17, 321}, 320, true},
                                            {{1, 37, 641}, 704, true}, {{3, 3, 40}, 66, true},   {{1, 9, 64}, 96, false}};

}  // namespace

TEST(cpu_geglu_in_the_product_has_the_bytes_of_reference) {
  for (const GegluCase& c : kGegluCases) check_same(c.make(), c.text());
}
TEST(cpu_bf16_geglu_in_the_product_errs_as_bf16_does) { check_bf16(kGegluCases); }

TEST(cpu_bf16_linear_errs_as_bf16_does) { check_bf16(linear_cases()); }
TEST(cpu_bf16_conv2d_errs_as_bf16_does) { check_bf16(conv_cases()); }
TEST(cpu_bf16_group_norm_errs_as_bf16_does) { check_bf16(group_norm_cases()); }
TEST(cpu_bf16_layer_norm_errs_as_bf16_does) { check_bf16(layer_norm_cases()); }
TEST(cpu_bf16_attention_errs_as_bf16_does) { check_bf16(attention_cases()); }
TEST(cpu_bf16_attention_over_many_blocks_errs_as_bf16_does) {
  // Many blocks of keys in work at once; the steep ones' maxima rise by more than the powers have headroom for.
  check_bf16(std::vector<AttentionCase>{{1, 33, 320, 2, 40, false, 1.0f}, {2, 64, 449, 1, 80, false, 1.0f}, {1, 40, 300, 1, 160, false, 20.0f},
                                        {1, 32, 577, 1, 16, false, 20.0f}, {1, 70, 257, 2, 24, false, 20.0f}});
}

TEST(cpu_bf16_activations_round_the_exact_ones) {
  // Every bf16 value in [-12, 12]. To round costs 2^-8 of the result, the polynomials 2^-13 of it, or 1.1e-5 where the
  // result is smaller than those are good for.
  Floats values;
  for (uint32_t bits = 0; bits <= 0x4140; ++bits) {
    values.push_back(__builtin_bit_cast(float, bits << 16));
    values.push_back(-values.back());
  }
  using Kind = sdgen::Activation;
  const std::pair<Kind, double (*)(double)> exact[] = {
      {Kind::kSilu, [](double x) { return x / (1 + std::exp(-x)); }},
      {Kind::kGelu, [](double x) { return 0.5 * x * std::erfc(-x / std::sqrt(2.0)); }},
      {Kind::kQuickGelu, [](double x) { return x / (1 + std::exp(-1.702 * x)); }}};
  for (const auto& [kind, formula] : exact) {
    Bench bench(1);
    const Ready ready = bench.finish(bench.builder.activation(bench.input_of({1, 1, static_cast<int64_t>(values.size())}, values), kind));
    for (const sdgen::cpu::Level level : sdgen::cpu::kLevels) {
      if (!available(level) || !sdgen::cpu::multiplies_bf16(level)) continue;
      const Floats got = run_on(ready, cpu_backend_of(level_name(level), "bf16", 1));
      for (size_t i = 0; i < values.size(); ++i) {
        const double wanted = formula(values[i]), error = std::fabs(static_cast<double>(got[i]) - wanted);
        CHECK_MSG(error <= (0x1p-8 + 0x1p-13) * std::fabs(wanted) + 1.1e-5, level_name(level) << ": " << values[i] << " gives " << got[i]);
      }
    }
  }
}

TEST(cpu_lists_its_fastest_precision_last) {
  using sdgen::cpu::Level;
  using Names = std::vector<std::string>;
  CHECK((sdgen::cpu::info({Level::kAvx512, ""}).precisions == Names{"fp32"}));
  CHECK((sdgen::cpu::info({Level::kAmx, ""}).precisions == Names{"fp32", "bf16"}));
  // Which of them is faster with AVX512-BF16 is the processor's matter; it has both.
  Names both = sdgen::cpu::info({Level::kAvx512Bf16, ""}).precisions;
  std::sort(both.begin(), both.end());
  CHECK((both == Names{"bf16", "fp32"}));
}
