// The cuda backend in fp16, on the emulation: errors as halves have them, the same bytes in every schedule and at every
// place of a batch.
#include <algorithm>

#include "base/half.h"
#include "cuda_bench.h"

using namespace sdgen_test;

namespace {

/// Halves keep 11 bits: operands and results err by up to 2^-12 of themselves, of sums of random signs more stands against
/// less. As for bf16 (cpu_ops_test.cpp), with its 8 bits: 2^-6 there.
constexpr double kHalfError = 0x1p-9;

double relative_error(const Floats& got, const Floats& exact) {
  double error = 0, size = 0;
  for (size_t i = 0; i < exact.size(); ++i) {
    error += std::pow(static_cast<double>(got[i]) - static_cast<double>(exact[i]), 2);
    size += std::pow(static_cast<double>(exact[i]), 2);
  }
  return error < 1e-9 ? 0 : std::sqrt(error / size);
}

void check_close(const Ready& ready, const std::string& name, double most = kHalfError) {
  const Floats exact = run_on(ready, 1);
  Floats first;
  on_each_backend("fp16", [&](sdgen::Backend& backend, const std::string& where) {
    const Floats got = run_on(ready, backend);
    CHECK_MSG(relative_error(got, exact) <= most, name << " on " << where << ": relative error " << relative_error(got, exact));
    if (first.empty()) first = got;
    CHECK_MSG(same_bits(got, first), name << " on " << where << ": other bytes than before");
  });
}

template <typename Cases>
void check_cases(const Cases& cases, size_t stride = 1) {
  CHECK(!cases.empty());
  for (size_t i = 0; i < cases.size(); i += stride) check_close(cases[i].make(), cases[i].text());
}

/// Whatever the other images are, an image of a batch has the bytes that it has alone.
template <typename Case>
void check_batch_position(Case c, const std::function<void(Case&, int64_t)>& set_batch) {
  set_batch(c, 3);
  const Ready batch = c.make();
  set_batch(c, 1);
  Ready alone = c.make();
  on_each_backend("fp16", [&](sdgen::Backend& backend, const std::string& where) {
    const Floats all = run_on(batch, backend);
    for (size_t image = 0; image < 3; ++image) {
      for (size_t i = 0; i < alone.inputs.size(); ++i) {
        const size_t n = alone.inputs[i].size();
        std::copy_n(batch.inputs[i].begin() + static_cast<std::ptrdiff_t>(image * n), n, alone.inputs[i].begin());
      }
      alone.weights = batch.weights;
      const Floats one = run_on(alone, backend);
      const Floats part(all.begin() + static_cast<std::ptrdiff_t>(image * one.size()), all.begin() + static_cast<std::ptrdiff_t>((image + 1) * one.size()));
      CHECK_MSG(same_bits(part, one), c.text() << ", image " << image << " on " << where);
    }
  });
}

}  // namespace

TEST(cuda_fast_linear_errs_as_halves_do) { check_cases(linear_cases(), 7); }
TEST(cuda_fast_conv2d_errs_as_halves_do) { check_cases(conv_cases(), 7); }
TEST(cuda_fast_group_norm_errs_as_halves_do) { check_cases(group_norm_cases()); }
TEST(cuda_fast_layer_norm_errs_as_halves_do) { check_cases(layer_norm_cases()); }
TEST(cuda_fast_attention_errs_as_halves_do) { check_cases(attention_cases(), 2); }

// Large enough for each of the tiles, and deep enough for splits of k.
TEST(cuda_fast_products_of_every_tile) {
  check_close(LinearCase{{1, 1408, 40}, 1408, true, Activation::kNone, true}.make(), "large tile");
  check_close(LinearCase{{1, 770, 40}, 1216, true, Activation::kSilu, false}.make(), "middle tile");
  check_close(LinearCase{{2, 70, 1320}, 72, true, Activation::kGelu, true}.make(), "small tile, splits");
  check_close(ConvCase{{2, 5, 6, 136}, 70, 3, 1, 1, 1, true, Activation::kSilu, true}.make(), "convolution in splits");
}

TEST(cuda_fast_geglu_in_the_product) {
  for (const int64_t width : {1, 8, 33, 100}) {
    for (const int64_t k : {24, 1032}) {
      Bench bench(static_cast<uint64_t>(width + k));
      const ValueId wide = bench.builder.linear("w", bench.input({2, 9, k}), 2 * width);
      check_close(bench.finish(bench.builder.geglu(wide)), "geglu " + std::to_string(width) + " of " + std::to_string(k), 2 * kHalfError);
    }
  }
}

TEST(cuda_fast_elementwise_errs_as_halves_do) {
  const Shape shape{2, 3, 5, 6};
  const auto check_one = [&](const std::string& name, auto&& build) {
    Bench bench(71);
    check_close(bench.finish(build(bench)), name);
  };
  for (const Activation kind : {Activation::kSilu, Activation::kGelu, Activation::kQuickGelu})
    check_one(activation_name(kind), [&](Bench& b) { return b.builder.activation(b.input(shape, 6.0f), kind); });
  check_one("geglu", [&](Bench& b) { return b.builder.geglu(b.input(shape, 5.0f)); });
  check_one("add", [&](Bench& b) {
    const ValueId x = b.input(shape), y = b.input(shape);
    return b.builder.add(x, y);
  });
  check_one("scale", [&](Bench& b) { return b.builder.scale(b.input(shape), 0.18215f); });
  check_one("concat", [&](Bench& b) {
    const ValueId x = b.input(shape), y = b.input(shape.with_channels(3));
    return b.builder.concat(x, y);
  });
  check_one("resize_nearest", [&](Bench& b) { return b.builder.resize_nearest(b.input(shape), 7, 8); });
  check_one("timestep_embedding", [&](Bench& b) { return b.builder.timestep_embedding(b.input_of({2}, {3.0f, 999.0f}), 32); });
}

TEST(cuda_fast_images_of_a_batch_have_the_bytes_they_have_alone) {
  check_batch_position<LinearCase>({{3, 70, 1320}, 72, true, Activation::kSilu, true}, [](LinearCase& c, int64_t n) { c.x = {n, 70, 1320}; });
  check_batch_position<ConvCase>({{3, 5, 6, 136}, 70, 3, 1, 1, 1, true, Activation::kSilu, true}, [](ConvCase& c, int64_t n) { c.x = {n, 5, 6, 136}; });
  check_batch_position<GroupNormCase>({{3, 15, 20, 64}, 32, 1e-5, true, 0.5f}, [](GroupNormCase& c, int64_t n) { c.x = {n, 15, 20, 64}; });
  check_batch_position<AttentionCase>({3, 33, 130, 2, 40, false, 3.0f}, [](AttentionCase& c, int64_t n) { c.batch = n; });
}

namespace {

void scale_input(Ready& ready, size_t input, float factor) {
  for (float& x : ready.inputs[input]) x *= factor;
}

}  // namespace

// Halves end at 65504. What an op adds up inside may pass that and come back; what it stores may not.
TEST(cuda_fast_sums_pass_beyond_halves) {
  // Large ones first and their opposites last: every partial sum in between is beyond halves, in whatever order of chunks.
  Ready product = LinearCase{{1, 9, 1280}, 40, true, Activation::kNone, false}.make();
  for (size_t i = 0; i < product.inputs[0].size(); ++i) product.inputs[0][i] = i % 1280 < 640 ? 20000.0f : -20000.0f;
  for (size_t i = 0; i < product.weights[0].size(); ++i) product.weights[0][i] = 0.5f;
  check_close(product, "linear with sums up to 6.4e6");

  Ready conv = ConvCase{{1, 5, 6, 64}, 24, 3, 1, 1, 1}.make();
  for (size_t i = 0; i < conv.inputs[0].size(); ++i) conv.inputs[0][i] = i % 64 < 32 ? 30000.0f : -30000.0f;
  for (float& w : conv.weights[0]) w = 0.5f;
  check_close(conv, "conv2d with sums up to 4e6");

  Ready norm = GroupNormCase{{2, 9, 11, 64}, 32, 1e-5, true, 0.5f}.make();
  scale_input(norm, 0, 8000.0f);  // squares of 1e8
  check_close(norm, "group_norm of values of 1e4");

  Ready layer = LayerNormCase{{2, 17, 320}, 0.0f}.make();
  scale_input(layer, 0, 8000.0f);
  check_close(layer, "layer_norm of values of 1e4");
}

TEST(cuda_fast_scores_beyond_halves_choose_a_key) {
  // Scores of up to 1e6: each query takes one value, which a score held in halves could not tell from the others.
  const int64_t keys = 70, size = 40;
  Ready ready = AttentionCase{1, 33, keys, 1, size, false, 1.0f}.make();
  for (size_t q = 0; q < 33; ++q) std::fill_n(ready.inputs[0].begin() + static_cast<std::ptrdiff_t>(q * size), size, 250.0f);
  for (size_t k = 0; k < static_cast<size_t>(keys); ++k) {
    std::fill_n(ready.inputs[1].begin() + static_cast<std::ptrdiff_t>(k * size), size, k == 41 ? 101.0f : 100.0f);
  }
  check_close(ready, "attention with scores of 1e6");
}

TEST(cuda_fast_results_beyond_halves_are_infinite_and_found) {
  Bench bench(73);
  const ValueId in = bench.input({1, 9, 1280});
  // What a program gives is float32: the values in between are halves.
  Ready ready = bench.finish(bench.builder.scale(bench.builder.linear("w", in, 40, {}), 0.5f));
  std::fill(ready.inputs[0].begin(), ready.inputs[0].end(), 200.0f);
  std::fill(ready.weights[0].begin(), ready.weights[0].end(), 0.5f);  // 128,000 each
  const Floats exact = run_on(ready, 1);
  CHECK(std::all_of(exact.begin(), exact.end(), [](float y) { return std::isfinite(y) && y > 60000.0f; }));
  on_each_backend("fp16", [&](sdgen::Backend& backend, const std::string& where) {
    const Floats got = run_on(ready, backend);
    CHECK_MSG(std::all_of(got.begin(), got.end(), [](float y) { return std::isinf(y) && y > 0; }), where << ": not infinite");
    const auto buffer = backend.allocate(got.size() * sizeof(float));
    backend.upload(*buffer, 0, got.data(), static_cast<int64_t>(got.size() * sizeof(float)));
    CHECK_MSG(!backend.all_finite({buffer.get(), 0, static_cast<int64_t>(got.size())}), where << ": infinities pass as numbers");
  });
}

TEST(cuda_fast_halves_round_as_the_format_says) {
  struct Row {
    float x;
    uint16_t bits;
  };
  for (const Row& row : {Row{1.0f, 0x3c00}, Row{-2.0f, 0xc000}, Row{65504.0f, 0x7bff}, Row{65519.0f, 0x7bff}, Row{65520.0f, 0x7c00}, Row{1e30f, 0x7c00},
                         Row{0x1p-24f, 0x0001}, Row{0x1p-25f, 0x0000}, Row{0x1.8p-25f, 0x0001}, Row{0x1p-14f, 0x0400}, Row{0x1.ff8p-15f, 0x03ff}, Row{-0.0f, 0x8000},
                         Row{0x1.002p0f, 0x3c00}, Row{0x1.006p0f, 0x3c02}}) {
    CHECK_MSG(sdgen::f32_to_f16(row.x) == row.bits, row.x << " gave " << sdgen::f32_to_f16(row.x));
  }
  for (uint32_t bits = 0; bits < 0x10000; ++bits) {
    const float x = sdgen::f16_to_f32(static_cast<uint16_t>(bits));
    const bool nan = x != x;
    CHECK(nan || sdgen::f32_to_f16(x) == bits);
  }
}
