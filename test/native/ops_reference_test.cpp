// Every op of `reference` against naive loops in fp64.
//
// Bounds. With u = 2^-24, a sum of products of depth d (the longest chain of roundings) errs by less than
// kLambda·sqrt(d)·u·Σ|a·w| (Higham & Mary 2019, A New Approach to Probabilistic Rounding Error Analysis): roundings are
// as good as independent, so the worst case d·u·Σ|a·w| would be far too lax. Values that move without arithmetic must
// be equal, and so must a single operation, rounded once from fp64.
#include <algorithm>

#include "op_cases.h"

using namespace sdgen_test;

namespace {

constexpr double kU = 0x1p-24, kLambda = 3;

struct Expected {
  double value, bound;
};
using Expectations = std::vector<Expected>;

double sum_bound(int64_t depth, double magnitude) {
  return kLambda * std::sqrt(static_cast<double>(depth)) * kU * magnitude;
}

/// First index that is off by more than its bound, or -1.
int64_t first_wrong(const Floats& got, const Expectations& want) {
  if (got.size() != want.size()) return 0;
  for (size_t i = 0; i < got.size(); ++i) {
    const double error = std::abs(static_cast<double>(got[i]) - want[i].value);
    if (!(error <= want[i].bound)) return static_cast<int64_t>(i);
  }
  return -1;
}

void check_output(const Floats& got, const Expectations& want, const std::string& what) {
  const int64_t wrong = first_wrong(got, want);
  CHECK_MSG(got.size() == want.size(), what << ": " << got.size() << " values");
  if (wrong < 0) return;
  const auto at = static_cast<size_t>(wrong);
  CHECK_MSG(false, what << ": value " << wrong << " is " << got[at] << ", expected " << want[at].value << " within "
                        << want[at].bound);
}

double sigmoid(double x) { return 1 / (1 + std::exp(-x)); }

/// The activation of a value known to within a bound. Slopes are below 1.13; the functions themselves err by a few ulp,
/// gelu by a few u of x, because 1 + erf cancels for negative x.
Expected activate(Activation kind, Expected x) {
  const double bound = 1.13 * x.bound + 6 * kU * std::abs(x.value);
  switch (kind) {
    case Activation::kNone: return x;
    case Activation::kSilu: return {x.value * sigmoid(x.value), bound};
    case Activation::kGelu: return {x.value * 0.5 * (1 + std::erf(x.value * std::sqrt(0.5))), bound};
    case Activation::kQuickGelu: return {x.value * sigmoid(1.702 * x.value), bound};
  }
  return x;
}

/// What a value's epilogue adds, each step rounding once.
struct Epilogue {
  const float* bias = nullptr;
  const float* channel_add = nullptr;
  Activation activation = Activation::kNone;
  const float* residual = nullptr;
};
Expected finish(Expected y, const Epilogue& e) {
  const auto plus = [&](const float* term) {
    if (term == nullptr) return;
    y.value += static_cast<double>(*term);
    y.bound += kU * (std::abs(y.value) + y.bound);
  };
  plus(e.bias);
  plus(e.channel_add);
  y = activate(e.activation, y);
  plus(e.residual);
  return y;
}

Expectations naive(const LinearCase& c, const Ready& r) {
  const int64_t k = c.x.channels();
  Expectations out;
  for (int64_t row = 0; row < c.x.rows(); ++row) {
    for (int64_t n = 0; n < c.out; ++n) {
      double sum = 0, magnitude = 0;
      for (int64_t i = 0; i < k; ++i) {
        const double product =
            static_cast<double>(r.inputs[0][row * k + i]) * static_cast<double>(r.weights[0][n * k + i]);
        sum += product;
        magnitude += std::abs(product);
      }
      out.push_back(finish({sum, sum_bound(std::min<int64_t>(k, 320) + k / 320, magnitude)},
                           {c.bias ? &r.weights[1][n] : nullptr, nullptr, c.activation,
                            c.residual ? &r.inputs[1][row * c.out + n] : nullptr}));
    }
  }
  return out;
}

Expectations naive(const ConvCase& c, const Ready& r) {
  const Shape& y = r.out_shape();
  const int64_t in = c.x[3], k = c.kernel;
  Expectations out;
  for (int64_t pixel = 0; pixel < y.rows(); ++pixel) {
    const int64_t ox = pixel % y[2], oy = pixel / y[2] % y[1], image = pixel / (y[1] * y[2]);
    for (int64_t o = 0; o < c.out; ++o) {
      double sum = 0, magnitude = 0;
      for (int64_t i = 0; i < in * k * k; ++i) {  // the file's order: channel, row, column
        const int64_t channel = i / (k * k), iy = oy * c.stride - c.before + i / k % k,
                      ix = ox * c.stride - c.before + i % k;
        if (iy < 0 || iy >= c.x[1] || ix < 0 || ix >= c.x[2]) continue;
        const double product = static_cast<double>(r.inputs[0][((image * c.x[1] + iy) * c.x[2] + ix) * in + channel]) *
                               static_cast<double>(r.weights[0][o * in * k * k + i]);
        sum += product;
        magnitude += std::abs(product);
      }
      const int64_t chunks = k * ((k * in + 319) / 320);
      out.push_back(finish({sum, sum_bound(std::min<int64_t>(in * k, 320) + chunks, magnitude)},
                           {&r.weights[1][o], c.channel_add ? &r.inputs[1][image * c.out + o] : nullptr, c.activation,
                            c.residual ? &r.inputs[c.channel_add ? 2 : 1][pixel * c.out + o] : nullptr}));
    }
  }
  return out;
}

/// Mean, 1/deviation and their errors over values of a sum tree of that depth.
struct Moments {
  double mean, mean_bound, r, r_relative;
};
Moments moments(const std::vector<double>& x, double eps, int64_t depth) {
  const auto n = static_cast<double>(x.size());
  double sum = 0, magnitude = 0, squares = 0;
  for (double v : x) sum += v, magnitude += std::abs(v);
  const double mean = sum / n, mean_bound = sum_bound(depth + 1, magnitude / n);
  for (double v : x) squares += (v - mean) * (v - mean);
  const double variance = squares / n;
  // d = x - mean carries the mean's error, which cancels in the sum to first order, and two roundings a term.
  const double variance_bound = sum_bound(depth + 4, variance) + mean_bound * mean_bound;
  return {mean, mean_bound, 1 / std::sqrt(variance + eps), variance_bound / (variance + eps) / 2 + 4 * kU};
}

Expected normalised(float x, float gain, float bias, const Moments& m) {
  const double v = static_cast<double>(x), g = static_cast<double>(gain) * m.r;
  const double y = (v - m.mean) * g;
  // x·scale and mean·scale cancel: their roundings count in full.
  const double bound =
      std::abs(g) * (m.mean_bound + 3 * kU * (std::abs(v) + std::abs(m.mean))) + std::abs(y) * m.r_relative;
  return {y + static_cast<double>(bias), bound + 2 * kU * (std::abs(y) + std::abs(static_cast<double>(bias)))};
}

Expectations naive(const GroupNormCase& c, const Ready& r) {
  const int64_t channels = c.x.channels(), pixels = c.x.rows_per_image(), width = channels / c.groups;
  Expectations out(static_cast<size_t>(c.x.elements()));
  for (int64_t ig = 0; ig < c.x[0] * c.groups; ++ig) {
    const int64_t first = ig / c.groups * pixels * channels + ig % c.groups * width;
    std::vector<double> values;
    for (int64_t i = 0; i < pixels * width; ++i)
      values.push_back(static_cast<double>(r.inputs[0][first + i / width * channels + i % width]));
    const Moments m = moments(values, c.eps, std::min<int64_t>(pixels, 128) + pixels / 128 + width);
    for (int64_t i = 0; i < pixels * width; ++i) {
      const int64_t at = first + i / width * channels + i % width, channel = at % channels;
      const Expected y = normalised(r.inputs[0][at], r.weights[0][channel], r.weights[1][channel], m);
      out[static_cast<size_t>(at)] = activate(c.silu ? Activation::kSilu : Activation::kNone, y);
    }
  }
  return out;
}

Expectations naive(const LayerNormCase& c, const Ready& r) {
  const int64_t channels = c.x.channels();
  Expectations out;
  for (int64_t row = 0; row < c.x.rows(); ++row) {
    const float* x = r.inputs[0].data() + row * channels;
    const Moments m = moments({x, x + channels}, 1e-5, channels / 32 + 6);
    for (int64_t i = 0; i < channels; ++i) out.push_back(normalised(x[i], r.weights[0][i], r.weights[1][i], m));
  }
  return out;
}

/// One head's query: `size` outputs. Scores err like any sum of products; exp turns an absolute error of its argument
/// into a relative one of every weight, which counts twice (numerator, denominator).
void naive_query(const AttentionCase& c, const float* q, const float* k, const float* v, int64_t keys, Expected* out) {
  const int64_t width = c.heads * c.size;
  const double scale = 1 / std::sqrt(static_cast<double>(c.size));
  std::vector<double> p(static_cast<size_t>(keys));
  double largest = -std::numeric_limits<double>::infinity(), argument_bound = 0, total = 0;
  for (int64_t j = 0; j < keys; ++j) {
    double sum = 0, magnitude = 0;
    for (int64_t i = 0; i < c.size; ++i) {
      const double product = static_cast<double>(q[i]) * static_cast<double>(k[j * width + i]);
      sum += product;
      magnitude += std::abs(product);
    }
    p[static_cast<size_t>(j)] = sum * scale;
    largest = std::max(largest, sum * scale);
    argument_bound = std::max(argument_bound, sum_bound(c.size, magnitude * scale) + 3 * kU * std::abs(sum * scale));
  }
  for (double& weight : p) total += weight = std::exp(weight - largest);
  const double relative = 2 * argument_bound + sum_bound(keys + 4, 2) + 4 * kU;
  for (int64_t i = 0; i < c.size; ++i) {
    double sum = 0, magnitude = 0;
    for (int64_t j = 0; j < keys; ++j) {
      const double term = p[static_cast<size_t>(j)] / total * static_cast<double>(v[j * width + i]);
      sum += term;
      magnitude += std::abs(term);
    }
    out[i] = {sum, relative * magnitude};
  }
}

Expectations naive(const AttentionCase& c, const Ready& r) {
  const int64_t width = c.heads * c.size;
  Expectations out(static_cast<size_t>(c.batch * c.queries * width));
  for (int64_t image = 0; image < c.batch; ++image) {
    for (int64_t query = 0; query < c.queries; ++query) {
      for (int64_t head = 0; head < c.heads; ++head) {
        const int64_t at = (image * c.queries + query) * width + head * c.size,
                      key = image * c.keys * width + head * c.size;
        naive_query(c, &r.inputs[0][at], &r.inputs[1][key], &r.inputs[2][key],
                    c.causal ? std::min(c.keys, query + 1) : c.keys, out.data() + at);
      }
    }
  }
  return out;
}

template <typename Case>
void check_all(const std::vector<Case>& cases) {
  CHECK(!cases.empty());
  for (const Case& c : cases) {
    const Ready ready = c.make();
    check_output(run_on(ready, 1), naive(c, ready), c.text());
  }
}

/// The largest value off by 1e-4 of itself, and two operands exchanged, must both be refused.
template <typename Case>
void check_that_errors_show(const std::vector<Case>& cases, int64_t swap_input) {
  int64_t tried = 0;
  for (const Case& c : cases) {
    Ready ready = c.make();
    Floats got = run_on(ready, 1);
    const Expectations want = naive(c, ready);
    const auto by_size = [](float a, float b) { return std::abs(a) < std::abs(b); };
    const auto largest = std::max_element(got.begin(), got.end(), by_size);
    if (std::abs(*largest) < 1e-3f) continue;
    const float kept = *largest;
    *largest = kept * (1 + 1e-4f);
    CHECK_MSG(first_wrong(got, want) == largest - got.begin(), c.text() << ": an error of 1e-4 passed");
    *largest = kept;
    Floats& operand = swap_input < 0 ? ready.weights[0] : ready.inputs[static_cast<size_t>(swap_input)];
    if (operand.size() < 2 || operand[0] == operand.back()) continue;
    std::swap(operand[0], operand.back());
    CHECK_MSG(first_wrong(got, naive(c, ready)) >= 0, c.text() << ": exchanged operands passed");
    ++tried;
  }
  CHECK(tried > 0);
}

}  // namespace

TEST(ops_linear_is_the_naive_sum) { check_all(linear_cases()); }
TEST(ops_conv2d_is_the_naive_sum) { check_all(conv_cases()); }
TEST(ops_group_norm_is_naive) { check_all(group_norm_cases()); }
TEST(ops_layer_norm_is_naive) { check_all(layer_norm_cases()); }
TEST(ops_attention_is_naive) { check_all(attention_cases()); }

TEST(ops_checker_refuses_planted_errors) {
  std::vector<LinearCase> linear;
  for (const LinearCase& c : linear_cases()) {
    if (c.activation == Activation::kNone && c.x.channels() > 1) linear.push_back(c);
  }
  check_that_errors_show(linear, -1);
  check_that_errors_show<ConvCase>(
      {{{2, 5, 7, 4}, 5, 3, 1, 1, 1}, {{1, 2, 2, 321}, 3, 3, 1, 1, 1}, {{2, 7, 9, 33}, 17, 3, 2, 0, 1}}, -1);
  check_that_errors_show<GroupNormCase>(
      {{{1, 15, 20, 40}, 8, 1e-5, false, 0.0f}, {{2, 4, 4, 96}, 32, 1e-5, true, 0.0f}}, -1);
  check_that_errors_show<LayerNormCase>({{{2, 5, 33}, 0.0f}, {{1, 5, 768}, 1.0f}}, -1);
  check_that_errors_show<AttentionCase>({{1, 3, 65, 1, 40, false, 1.0f}, {2, 7, 77, 2, 64, false, 2.0f}}, 2);
}

TEST(ops_activation_is_naive) {
  for (const Activation kind : {Activation::kSilu, Activation::kGelu, Activation::kQuickGelu}) {
    for (const int64_t count : {1, 7, 321, 4096, 4097}) {
      Bench bench(static_cast<uint64_t>(count));
      const Ready ready = bench.finish(bench.builder.activation(bench.input({1, 1, count}, 12.0f), kind));
      Expectations want;
      for (const float x : ready.inputs[0]) want.push_back(activate(kind, {static_cast<double>(x), 0}));
      check_output(run_on(ready, 1), want, activation_name(kind) + " " + std::to_string(count));
    }
  }
}

TEST(ops_geglu_is_naive) {
  for (const Shape& shape : {Shape{1, 1, 2}, Shape{2, 3, 66}, Shape{1, 5, 640}, Shape{3, 17, 62}}) {
    Bench bench(7);
    const Ready ready = bench.finish(bench.builder.geglu(bench.input(shape, 5.0f)));
    const int64_t width = shape.channels() / 2;
    Expectations want;
    for (int64_t i = 0; i < shape.rows() * width; ++i) {
      const float* row = ready.inputs[0].data() + i / width * 2 * width;
      const Expected gate = activate(Activation::kGelu, {static_cast<double>(row[width + i % width]), 0});
      const auto x = static_cast<double>(row[i % width]);
      want.push_back({x * gate.value, std::abs(x) * gate.bound + kU * std::abs(x * gate.value)});
    }
    check_output(run_on(ready, 1), want, "geglu " + shape.text());
  }
}
