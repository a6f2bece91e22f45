// Ops that move values, or do one operation a value: these are exact.
#include "op_bench.h"

using namespace sdgen_test;
using sdgen::Shape;
using sdgen::ValueId;

namespace {

void check_exact(const Ready& ready, const Floats& want, const std::string& what) {
  for (const int threads : {1, 3})
    CHECK_MSG(same_bits(run_on(ready, threads), want), what << " on " << threads << " threads");
}

const Shape kShapes[] = {{1, 1}, {3, 5}, {1, 1, 1, 1}, {2, 3, 5, 31}, {1, 64, 64, 4}, {1, 4097}, {2, 77, 33}};

}  // namespace

TEST(ops_add_and_scale_round_once) {
  for (const Shape& shape : kShapes) {
    Bench bench(11);
    const ValueId a = bench.input(shape), b = bench.input(shape, 1e-3f);
    const Ready ready = bench.finish(bench.builder.add(a, b));
    Floats want;
    // Of two floats, fp64 makes sums and products that round to the same float as the exact ones.
    for (size_t i = 0; i < ready.inputs[0].size(); ++i) {
      want.push_back(
          static_cast<float>(static_cast<double>(ready.inputs[0][i]) + static_cast<double>(ready.inputs[1][i])));
    }
    check_exact(ready, want, "add " + shape.text());

    Bench other(12);
    const float factor = static_cast<float>(1 / 0.18215);
    const Ready scaled = other.finish(other.builder.scale(other.input(shape), factor));
    want.clear();
    for (const float x : scaled.inputs[0])
      want.push_back(static_cast<float>(static_cast<double>(x) * static_cast<double>(factor)));
    check_exact(scaled, want, "scale " + shape.text());
  }
}

TEST(ops_add_of_a_value_to_itself) {
  Bench bench(13);
  const ValueId x = bench.input({3, 5});
  const Ready ready = bench.finish(bench.builder.add(x, x));
  Floats want;
  for (const float v : ready.inputs[0]) want.push_back(2 * v);
  check_exact(ready, want, "add of one value twice");
}

TEST(ops_concat_joins_channels) {
  const std::pair<Shape, Shape> shapes[] = {{{1, 1, 1, 1}, {1, 1, 1, 1}},
                                            {{2, 3, 5, 31}, {2, 3, 5, 4}},
                                            {{3, 7, 1}, {3, 7, 320}},
                                            {{1, 5, 19, 33}, {1, 5, 19, 33}}};
  for (const auto& [left, right] : shapes) {
    Bench bench(14);
    const ValueId l = bench.input(left), r = bench.input(right);
    const Ready ready = bench.finish(bench.builder.concat(l, r));
    const int64_t a = left.channels(), b = right.channels();
    Floats want;
    for (int64_t i = 0; i < left.rows() * (a + b); ++i) {
      const int64_t row = i / (a + b), c = i % (a + b);
      want.push_back(c < a ? ready.inputs[0][static_cast<size_t>(row * a + c)]
                           : ready.inputs[1][static_cast<size_t>(row * b + c - a)]);
    }
    check_exact(ready, want, "concat " + left.text() + right.text());
  }
}

TEST(ops_resize_takes_the_nearest_below) {
  struct Case {
    Shape in;
    int64_t height, width;
  };
  const Case cases[] = {{{1, 1, 1, 1}, 1, 1}, {{1, 1, 1, 3}, 2, 2},  {{2, 3, 5, 4}, 6, 10}, {{1, 8, 8, 31}, 7, 5},
                        {{3, 6, 4, 2}, 5, 3}, {{1, 5, 7, 33}, 3, 11}, {{1, 7, 3, 5}, 1, 1},  {{2, 10, 6, 4}, 9, 13}};
  for (const auto& [in, height, width] : cases) {
    Bench bench(15);
    const Ready ready = bench.finish(bench.builder.resize_nearest(bench.input(in), height, width));
    CHECK(ready.out_shape() == (Shape{in[0], height, width, in[3]}));
    Floats want;
    for (int64_t i = 0; i < ready.out_shape().elements(); ++i) {
      const int64_t c = i % in[3], x = i / in[3] % width, y = i / (in[3] * width) % height,
                    n = i / (in[3] * width * height);
      // floor(y·in/out): the largest source row s with s·out <= y·in.
      int64_t sy = 0, sx = 0;
      while ((sy + 1) * height <= y * in[1]) ++sy;
      while ((sx + 1) * width <= x * in[2]) ++sx;
      want.push_back(ready.inputs[0][static_cast<size_t>(((n * in[1] + sy) * in[2] + sx) * in[3] + c)]);
    }
    check_exact(ready, want, "resize " + in.text() + " to " + std::to_string(height) + "x" + std::to_string(width));
  }
}

TEST(ops_token_embedding_adds_rows) {
  struct Case {
    int64_t batch, tokens, vocabulary, positions, width;
  };
  for (const auto& [batch, tokens, vocabulary, positions, width] :
       {Case{1, 1, 1, 1, 1}, Case{2, 77, 64, 77, 33}, Case{3, 5, 7, 9, 320}, Case{1, 4, 1000, 4, 31}}) {
    Bench bench(16);
    Floats ids;
    for (int64_t i = 0; i < batch * tokens; ++i) {
      const int64_t id = i == 0 ? vocabulary - 1 : i == 1 ? 0 : bench.numbers.below(vocabulary);
      ids.push_back(std::bit_cast<float>(static_cast<int32_t>(id)));
    }
    const ValueId in = bench.input_of({batch, tokens}, ids);
    const Ready ready =
        bench.finish(bench.builder.token_embedding("token", "position", in, vocabulary, positions, width));
    Floats want;
    for (int64_t i = 0; i < batch * tokens * width; ++i) {
      const int64_t row = i / width, id = std::bit_cast<int32_t>(ids[static_cast<size_t>(row)]);
      want.push_back(ready.weights[0][static_cast<size_t>(id * width + i % width)] +
                     ready.weights[1][static_cast<size_t>(row % tokens * width + i % width)]);
    }
    check_exact(ready, want, "token embedding of width " + std::to_string(width));
  }
}

TEST(ops_timestep_embedding_is_cos_then_sin) {
  const Floats timesteps = {0.0f, 1.0f, 0.5f, 999.0f, 17.3125f, 501.7f, 1e-3f};
  for (const int64_t dim : {2, 6, 32, 320}) {
    Bench bench(17);
    const ValueId t = bench.input_of({static_cast<int64_t>(timesteps.size())}, timesteps);
    const Ready ready = bench.finish(bench.builder.timestep_embedding(t, dim));
    const Floats got = run_on(ready, 1);
    for (int64_t i = 0; i < ready.out_shape().elements(); ++i) {
      const int64_t half = dim / 2, at = i % dim;
      const double argument = static_cast<double>(timesteps[static_cast<size_t>(i / dim)]) *
                              std::exp(-std::log(10000.0) * static_cast<double>(at % half) / static_cast<double>(half));
      const double want = at < half ? std::cos(argument) : std::sin(argument);
      // f and t·f round once each, by u of the argument, whose error passes on with a slope of at most 1; then the
      // result.
      const double bound = 0x1p-24 * (2.01 * argument + 1);
      CHECK_MSG(std::abs(static_cast<double>(got[static_cast<size_t>(i)]) - want) <= bound,
                "dim " << dim << " at " << i << ": " << got[static_cast<size_t>(i)] << ", expected " << want);
    }
  }
}

TEST(ops_chain_through_the_arena) {
  // A value that is overwritten in the arena while it is still needed would show here: y = (2x + 3x)·... in odd sizes.
  Bench bench(18);
  const ValueId x = bench.input({1, 3, 5, 7});
  const ValueId two = bench.builder.scale(x, 2.0f), three = bench.builder.scale(x, 3.0f);
  const ValueId five = bench.builder.add(two, three), seven = bench.builder.add(five, two);
  const Ready ready = bench.finish(bench.builder.concat(bench.builder.add(seven, three), five));
  Floats want;
  for (int64_t i = 0; i < 3 * 5 * 14; ++i) {
    const float v = ready.inputs[0][static_cast<size_t>(i / 14 * 7 + i % 7)];
    const float sum = 2 * v + 3 * v;
    want.push_back(i % 14 < 7 ? (sum + 2 * v) + 3 * v : sum);
  }
  check_exact(ready, want, "chain");
}
