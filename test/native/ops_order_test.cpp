// The numerics contract to the bit: slow loops that follow docs/numerics.md literally, compared with the backend by
// memcmp at several thread counts; and wrong orders, which must be told from the right one.
#include <algorithm>

#include "base/math.h"
#include "op_cases.h"

using namespace sdgen_test;
namespace math = sdgen::math;

namespace {

/// What the contract fixes; tests plant other values to see that the comparison notices.
struct Order {
  int64_t chunk = 320, pixel_block = 128, lanes = 32, key_block = 64;
  bool restart_rows = true;       // chunks of a convolution restart at every kh
  bool residual_first = false;    // the epilogue's order
  bool channels_last = true;      // taps of a row as (kw, c), c fastest
  bool divide_by_l = false;       // out = o/l instead of o·(1/l)
};

/// A running total of chunks.
class ChunkSum {
 public:
  explicit ChunkSum(int64_t chunk) : chunk_(chunk) {}
  void tap(float a, float w) {
    acc_ = math::fma(a, w, acc_);
    if (++length_ == chunk_) close();
  }
  void close() {
    if (length_ == 0) return;
    total_ = first_ ? acc_ : total_ + acc_;
    first_ = false;
    acc_ = 0.0f;
    length_ = 0;
  }
  float total() {
    close();
    return total_;
  }

 private:
  int64_t chunk_, length_ = 0;
  float acc_ = 0.0f, total_ = 0.0f;
  bool first_ = true;
};

float activate(Activation kind, float x) {
  switch (kind) {
    case Activation::kNone: return x;
    case Activation::kSilu: return math::silu_f32(x);
    case Activation::kGelu: return math::gelu_f32(x);
    case Activation::kQuickGelu: return math::quick_gelu_f32(x);
  }
  return x;
}

float finish(float y, const float* bias, const float* channel_add, Activation kind, const float* residual,
             const Order& order) {
  if (bias != nullptr) y += *bias;
  if (order.residual_first && residual != nullptr) y += *residual;
  if (channel_add != nullptr) y += *channel_add;
  y = activate(kind, y);
  if (!order.residual_first && residual != nullptr) y += *residual;
  return y;
}

Floats contract(const LinearCase& c, const Ready& r, const Order& order) {
  const int64_t k = c.x.channels();
  Floats out;
  for (int64_t row = 0; row < c.x.rows(); ++row) {
    for (int64_t n = 0; n < c.out; ++n) {
      ChunkSum sum(order.chunk);
      for (int64_t i = 0; i < k; ++i) sum.tap(r.inputs[0][row * k + i], r.weights[0][n * k + i]);
      out.push_back(finish(sum.total(), c.bias ? &r.weights[1][n] : nullptr, nullptr, c.activation,
                           c.residual ? &r.inputs[1][row * c.out + n] : nullptr, order));
    }
  }
  return out;
}

float conv_sum(const ConvCase& c, const Ready& r, const Order& order, int64_t image, int64_t oy, int64_t ox,
               int64_t o) {
  const int64_t in = c.x[3], k = c.kernel;
  ChunkSum sum(order.chunk);
  for (int64_t kh = 0; kh < k; ++kh) {
    for (int64_t i = 0; i < k * in; ++i) {
      const int64_t kw = order.channels_last ? i / in : i % k, channel = order.channels_last ? i % in : i / k;
      const int64_t y = oy * c.stride - c.before + kh, x = ox * c.stride - c.before + kw;
      const bool inside = y >= 0 && y < c.x[1] && x >= 0 && x < c.x[2];
      sum.tap(inside ? r.inputs[0][((image * c.x[1] + y) * c.x[2] + x) * in + channel] : 0.0f,
              r.weights[0][((o * in + channel) * k + kh) * k + kw]);
    }
    if (order.restart_rows) sum.close();
  }
  return sum.total();
}

Floats contract(const ConvCase& c, const Ready& r, const Order& order) {
  const Shape& y = r.out_shape();
  Floats out;
  for (int64_t pixel = 0; pixel < y.rows(); ++pixel) {
    const int64_t ox = pixel % y[2], oy = pixel / y[2] % y[1], image = pixel / (y[1] * y[2]);
    for (int64_t o = 0; o < c.out; ++o) {
      out.push_back(finish(conv_sum(c, r, order, image, oy, ox, o), &r.weights[1][o],
                           c.channel_add ? &r.inputs[1][image * c.out + o] : nullptr, c.activation,
                           c.residual ? &r.inputs[c.channel_add ? 2 : 1][pixel * c.out + o] : nullptr, order));
    }
  }
  return out;
}

/// The tree over one image's group: blocks of pixels, blocks of a channel, channels of a group.
template <typename AddFn>
float group_total(const GroupNormCase& c, const Order& order, int64_t group, const AddFn& add) {
  const int64_t pixels = c.x.rows_per_image(), width = c.x.channels() / c.groups;
  float total = 0.0f;
  for (int64_t channel = group * width; channel < (group + 1) * width; ++channel) {
    float channel_total = 0.0f;
    for (int64_t block = 0; block < pixels; block += order.pixel_block) {
      float sum = 0.0f;
      for (int64_t p = block; p < std::min(pixels, block + order.pixel_block); ++p) sum = add(sum, p, channel);
      channel_total += sum;
    }
    total += channel_total;
  }
  return total;
}

Floats contract(const GroupNormCase& c, const Ready& r, const Order& order) {
  const int64_t channels = c.x.channels(), pixels = c.x.rows_per_image(), width = channels / c.groups;
  const auto n = static_cast<float>(pixels * width);
  const float eps = c.eps == 1e-5 ? 0x1.4f8b58p-17f : 0x1.0c6f7ap-20f;
  Floats out(r.inputs[0].size());
  for (int64_t image = 0; image < c.x[0]; ++image) {
    const float* x = r.inputs[0].data() + image * pixels * channels;
    for (int64_t group = 0; group < c.groups; ++group) {
      const float mean =
          group_total(c, order, group, [&](float s, int64_t p, int64_t ch) { return s + x[p * channels + ch]; }) / n;
      const float squares = group_total(c, order, group, [&](float s, int64_t p, int64_t ch) {
        const float d = x[p * channels + ch] - mean;
        return math::fma(d, d, s);
      });
      const float inverse = 1.0f / std::sqrt(squares / n + eps);
      for (int64_t ch = group * width; ch < (group + 1) * width; ++ch) {
        const float scale = r.weights[0][ch] * inverse, shift = math::fma(-mean, scale, r.weights[1][ch]);
        for (int64_t p = 0; p < pixels; ++p) {
          const float y = math::fma(x[p * channels + ch], scale, shift);
          out[(image * pixels + p) * channels + ch] = c.silu ? math::silu_f32(y) : y;
        }
      }
    }
  }
  return out;
}

template <typename AddFn>
float lane_total(int64_t channels, int64_t lanes, const AddFn& add) {
  Floats s(static_cast<size_t>(lanes), 0.0f);
  for (int64_t c = 0; c < channels; ++c) s[c % lanes] = add(s[c % lanes], c);
  for (int64_t h = lanes / 2; h >= 1; h /= 2) {
    for (int64_t i = 0; i < h; ++i) s[i] = s[i] + s[i + h];
  }
  return s[0];
}

Floats contract(const LayerNormCase& c, const Ready& r, const Order& order) {
  const int64_t channels = c.x.channels();
  const auto n = static_cast<float>(channels);
  Floats out;
  for (int64_t row = 0; row < c.x.rows(); ++row) {
    const float* x = r.inputs[0].data() + row * channels;
    const float mean = lane_total(channels, order.lanes, [&](float s, int64_t i) { return s + x[i]; }) / n;
    const float squares = lane_total(channels, order.lanes, [&](float s, int64_t i) {
      const float d = x[i] - mean;
      return math::fma(d, d, s);
    });
    const float inverse = 1.0f / std::sqrt(squares / n + 0x1.4f8b58p-17f);
    for (int64_t i = 0; i < channels; ++i)
      out.push_back(math::fma((x[i] - mean) * inverse, r.weights[0][i], r.weights[1][i]));
  }
  return out;
}

/// One query of one head; `keys` are those it sees.
void attend(const AttentionCase& c, const float* q, const float* k, const float* v, int64_t keys, const Order& order,
            float* out) {
  const int64_t width = c.heads * c.size;
  const auto scale = static_cast<float>(0x1.71547652b82fep+0 / std::sqrt(static_cast<double>(c.size)));
  float m = -std::numeric_limits<float>::infinity(), l = 0.0f;
  Floats o(static_cast<size_t>(c.size), 0.0f), s;
  for (int64_t block = 0; block < keys; block += order.key_block) {
    const int64_t end = std::min(keys, block + order.key_block);
    s.clear();
    float largest = m;
    for (int64_t j = block; j < end; ++j) {
      float dot = 0.0f;
      for (int64_t i = 0; i < c.size; ++i) dot = math::fma(q[i], k[j * width + i], dot);
      s.push_back(dot);
      largest = math::max(largest, dot);
    }
    const float mc = largest * scale;
    const float alpha = block == 0 || largest == m ? 1.0f : math::exp2_f32(m * scale - mc);
    l = l * alpha;
    for (float& value : o) value = value * alpha;
    for (int64_t j = block; j < end; ++j) {
      const float p = math::exp2_f32(math::fma(s[j - block], scale, -mc));
      l = l + p;
      for (int64_t i = 0; i < c.size; ++i) o[i] = math::fma(p, v[j * width + i], o[i]);
    }
    m = largest;
  }
  for (int64_t i = 0; i < c.size; ++i) out[i] = order.divide_by_l ? o[i] / l : o[i] * (1.0f / l);
}

Floats contract(const AttentionCase& c, const Ready& r, const Order& order) {
  const int64_t width = c.heads * c.size;
  Floats out(r.inputs[0].size());
  for (int64_t i = 0; i < c.batch * c.queries * c.heads; ++i) {
    const int64_t head = i % c.heads, query = i / c.heads % c.queries, image = i / (c.heads * c.queries);
    const int64_t at = (image * c.queries + query) * width + head * c.size,
                  key = image * c.keys * width + head * c.size;
    attend(c, &r.inputs[0][at], &r.inputs[1][key], &r.inputs[2][key], c.causal ? std::min(c.keys, query + 1) : c.keys,
           order, out.data() + at);
  }
  return out;
}

std::string first_difference(const Floats& a, const Floats& b) {
  for (size_t i = 0; i < std::min(a.size(), b.size()); ++i) {
    if (math::bits_of(a[i]) != math::bits_of(b[i]))
      return "value " + std::to_string(i) + " of " + std::to_string(a.size());
  }
  return "their sizes";
}

template <typename Case>
void check_bits(const std::vector<Case>& cases) {
  CHECK(!cases.empty());
  for (const Case& c : cases) {
    const Ready ready = c.make();
    const Floats want = contract(c, ready, {});
    for (const int threads : {1, 2, 3, 8}) {
      const Floats got = run_on(ready, threads);
      CHECK_MSG(same_bits(got, want),
                c.text() << " on " << threads << " threads: differs in " << first_difference(got, want));
    }
  }
}

/// Some shape must tell the planted order from the contract's.
template <typename Case>
void check_noticed(const std::vector<Case>& cases, const Order& planted, const char* what) {
  const bool noticed = std::any_of(cases.begin(), cases.end(), [&](const Case& c) {
    const Ready ready = c.make();
    return !same_bits(run_on(ready, 1), contract(c, ready, planted));
  });
  CHECK_MSG(noticed, "no shape tells the contract from " << what);
}

constexpr int64_t kEndless = int64_t{1} << 40;

}  // namespace

TEST(order_linear_bits) { check_bits(linear_cases()); }
TEST(order_conv2d_bits) { check_bits(conv_cases()); }
TEST(order_group_norm_bits) { check_bits(group_norm_cases()); }
TEST(order_layer_norm_bits) { check_bits(layer_norm_cases()); }
TEST(order_attention_bits) { check_bits(attention_cases()); }

TEST(order_planted_in_products_is_noticed) {
  const LinearCase deep{{1, 3, 641}, 8, true, Activation::kNone, false},
      epilogue{{1, 3, 31}, 8, true, Activation::kSilu, true};
  const ConvCase taps{{1, 4, 5, 107}, 6, 3, 1, 1, 1}, small{{1, 9, 11, 31}, 33, 3, 1, 1, 1};
  const ConvCase finished{{1, 4, 5, 4}, 6, 3, 1, 1, 1, true, Activation::kNone, true};
  check_noticed<LinearCase>({deep}, {.chunk = kEndless}, "one long chain");
  check_noticed<LinearCase>({deep}, {.chunk = 321}, "chunks of 321");
  check_noticed<LinearCase>({epilogue}, {.residual_first = true}, "a residual before the activation");
  check_noticed<ConvCase>({taps}, {.chunk = kEndless}, "chunks of a whole row");
  check_noticed<ConvCase>({small}, {.restart_rows = false}, "chunks that go on over rows");
  check_noticed<ConvCase>({small}, {.channels_last = false}, "taps with kw fastest");
  check_noticed<ConvCase>({finished}, {.residual_first = true}, "a residual before the channel add");
}

TEST(order_planted_in_norms_and_attention_is_noticed) {
  check_noticed(group_norm_cases(), {.pixel_block = kEndless}, "sums over all pixels");
  check_noticed(group_norm_cases(), {.pixel_block = 64}, "blocks of 64 pixels");
  check_noticed(layer_norm_cases(), {.lanes = 16}, "16 lanes");
  check_noticed(layer_norm_cases(), {.lanes = 1}, "one chain");
  check_noticed(attention_cases(), {.key_block = 32}, "blocks of 32 keys");
  check_noticed(attention_cases(), {.key_block = kEndless}, "one block of keys");
  check_noticed(attention_cases(), {.divide_by_l = true}, "a division by l");
}

TEST(order_elementwise_functions_are_the_contract) {
  for (const int64_t count : {1, 31, 4097}) {
    for (const Activation kind : kActivations) {
      Bench bench(19);
      const Ready ready = bench.finish(bench.builder.activation(bench.input({1, count}, 20.0f), kind));
      Floats want;
      for (const float x : ready.inputs[0]) want.push_back(activate(kind, x));
      for (const int threads : {1, 3})
        CHECK_MSG(same_bits(run_on(ready, threads), want), activation_name(kind) << " of " << count);
    }
    Bench bench(20);
    const Ready ready = bench.finish(bench.builder.geglu(bench.input({3, 2 * count}, 6.0f)));
    Floats want;
    for (int64_t i = 0; i < 3 * count; ++i) {
      const float* row = ready.inputs[0].data() + i / count * 2 * count;
      want.push_back(row[i % count] * math::gelu_f32(row[count + i % count]));
    }
    for (const int threads : {1, 3}) CHECK_MSG(same_bits(run_on(ready, threads), want), "geglu of " << count);
  }
}

TEST(order_timestep_embedding_bits) {
  const Floats timesteps = {0.0f, 999.0f, 17.3125f, 501.7f, 1.0f / 3};
  const int64_t dim = 320, half = dim / 2;
  Bench bench(21);
  const Ready ready = bench.finish(bench.builder.timestep_embedding(bench.input_of({5}, timesteps), dim));
  Floats want;
  for (const float t : timesteps) {
    for (int64_t i = 0; i < dim; ++i) {
      const auto f = static_cast<float>(
          math::exp_f64((-0x1.26bb1bbb55516p+3 * static_cast<double>(i % half)) / static_cast<double>(half)));
      const float argument = t * f;
      want.push_back(static_cast<float>(i < half ? math::cos_f64(argument) : math::sin_f64(argument)));
    }
  }
  CHECK(same_bits(run_on(ready, 2), want));
}
