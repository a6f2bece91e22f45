// Every op of the cuda backend at fp32, on the emulation: the bytes of reference.
#include <algorithm>

#include "base/error.h"
#include "cuda_bench.h"

using namespace sdgen_test;
using sdgen::VectorView;

namespace {

void check_same(const Ready& ready, const std::string& name) {
  const Floats expected = run_on(ready, 1);
  on_each_backend("fp32", [&](sdgen::Backend& backend, const std::string& where) {
    CHECK_MSG(same_bits(run_on(ready, backend), expected), name << " on " << where);
  });
}

/// Every third case of a table in which each shape stands with all its epilogues.
template <typename Cases>
void check_cases(const Cases& cases, size_t stride = 1) {
  CHECK(!cases.empty());
  for (size_t i = 0; i < cases.size(); i += stride) check_same(cases[i].make(), cases[i].text());
}

}  // namespace

TEST(cuda_exact_linear_has_the_bytes_of_reference) { check_cases(linear_cases(), 3); }
TEST(cuda_exact_conv2d_has_the_bytes_of_reference) { check_cases(conv_cases(), 3); }
TEST(cuda_exact_group_norm_has_the_bytes_of_reference) { check_cases(group_norm_cases()); }
TEST(cuda_exact_layer_norm_has_the_bytes_of_reference) { check_cases(layer_norm_cases()); }
TEST(cuda_exact_attention_has_the_bytes_of_reference) { check_cases(attention_cases()); }

TEST(cuda_exact_elementwise_has_the_bytes_of_reference) {
  for (const Shape& shape : {Shape{1, 1, 1, 2}, Shape{2, 3, 5, 6}, Shape{1, 17, 16, 62}}) {
    for (const Activation kind : {Activation::kSilu, Activation::kGelu, Activation::kQuickGelu}) {
      Bench bench(static_cast<uint64_t>(shape.elements()));
      check_same(bench.finish(bench.builder.activation(bench.input(shape, 12.0f), kind)), activation_name(kind) + " " + shape.text());
    }
    const auto check_one = [&](const std::string& name, auto&& build) {
      Bench bench(static_cast<uint64_t>(shape.elements() * 3));
      check_same(bench.finish(build(bench)), name + " " + shape.text());
    };
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
    check_one("resize_nearest", [&](Bench& b) { return b.builder.resize_nearest(b.input(shape), 2 * shape[1] + 1, shape[2] + 3); });
  }
}

TEST(cuda_exact_embeddings_have_the_bytes_of_reference) {
  for (const int64_t dim : {2, 32, 320}) {
    Bench bench(static_cast<uint64_t>(dim));
    check_same(bench.finish(bench.builder.timestep_embedding(bench.input_of({5}, {0.0f, 1.0f, 37.25f, 500.0f, 999.0f}), dim)),
               "timestep_embedding " + std::to_string(dim));
  }
  Bench bench(11);
  Floats ids;
  for (const int32_t id : {0, 48, 7, 7, 3, 12}) ids.push_back(std::bit_cast<float>(id));
  check_same(bench.finish(bench.builder.token_embedding("token", "position", bench.input_of({2, 3}, ids), 49, 77, 40)), "token_embedding");
}

// The order of a sum is what these tests hold: the same products in another order must show.
TEST(cuda_exact_tests_notice_another_order) {
  const Ready ready = LinearCase{{1, 5, 641}, 33, false, Activation::kNone, false}.make();
  Ready turned = ready;
  for (int64_t row = 0; row < 5; ++row) std::reverse(turned.inputs[0].begin() + row * 641, turned.inputs[0].begin() + (row + 1) * 641);
  for (int64_t out = 0; out < 33; ++out) std::reverse(turned.weights[0].begin() + out * 641, turned.weights[0].begin() + (out + 1) * 641);
  CHECK(!same_bits(run_on(turned, *emulated_backend(machines()[0], "fp32")), run_on(ready, 1)));
}

namespace {

/// Four vectors in one buffer of a backend.
struct Vectors {
  static constexpr int64_t kCount = 1031;
  Vectors(sdgen::Backend& b, const Floats& values) : backend(b), buffer(b.allocate(values.size() * 4)) {
    backend.upload(*buffer, 0, values.data(), static_cast<int64_t>(values.size() * 4));
  }
  VectorView operator[](int64_t i) const { return {buffer.get(), i * kCount, kCount}; }
  Floats values() const {
    Floats all(static_cast<size_t>(4 * kCount));
    backend.download(*buffer, 0, all.data(), static_cast<int64_t>(all.size() * 4));
    return all;
  }
  sdgen::Backend& backend;
  std::unique_ptr<sdgen::Buffer> buffer;
};

}  // namespace

TEST(cuda_vector_ops_have_the_bytes_of_reference) {
  const Floats start = Numbers(3).values(4 * Vectors::kCount, 3.0f);
  on_each_backend("fp32", [&](sdgen::Backend& cuda, const std::string& where) {
    sdgen::Backend* backends[] = {&backend_of(1), &cuda};
    std::vector<Floats> results;
    for (sdgen::Backend* backend : backends) {
      const Vectors v(*backend, start);
      const std::vector<sdgen::LincombTerm> terms = {{0.9f, v[0]}, {1.7f, v[1]}, {-0.2f, v[2]}, {1e-3f, v[3]}};
      backend->lincomb(v[1], terms);  // onto one of its own terms
      backend->guide(v[2], v[0], v[1], v[3], 0.8f, -3.7f, 7.5f);
      backend->guide(v[3], v[3], v[0], {}, 0.8f, -3.7f, 1.0f);
      backend->blend(v[0], v[1], v[2]);
      results.push_back(v.values());
      std::vector<uint8_t> levels(static_cast<size_t>(Vectors::kCount));
      backend->to_rgb8(v[0], levels.data());
      results.emplace_back(levels.begin(), levels.end());
      CHECK(backend->all_finite(v[0]));
      const float bad[] = {std::numeric_limits<float>::infinity(), std::numeric_limits<float>::quiet_NaN()};
      for (const float value : bad) {
        backend->upload(*v.buffer, (Vectors::kCount - 1) * 4, &value, 4);
        CHECK(!backend->all_finite(v[0]));
        CHECK(backend->all_finite(v[1]));
      }
    }
    CHECK_MSG(same_bits(results[0], results[2]) && same_bits(results[1], results[3]), "on " << where);
  });
}
