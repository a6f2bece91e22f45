#pragma once
// The shapes that ops are tried on: around every edge of the contract's blocks and of the kernels' tiles.
#include "op_bench.h"

namespace sdgen_test {

using sdgen::Activation;
using sdgen::Shape;
using sdgen::ValueId;

inline constexpr Activation kActivations[] = {Activation::kNone, Activation::kSilu, Activation::kGelu,
                                              Activation::kQuickGelu};

struct LinearCase {
  Shape x;
  int64_t out;
  bool bias;
  Activation activation;
  bool residual;
  std::string text() const {
    return "linear " + x.text() + " -> " + std::to_string(out) + (bias ? " bias " : " ") + activation_name(activation) +
           (residual ? " residual" : "");
  }
  Ready make() const {
    Bench bench(static_cast<uint64_t>(x.elements() * 31 + out));
    const ValueId in = bench.input(x);
    const ValueId add = residual ? bench.input(x.with_channels(out)) : -1;
    return bench.finish(bench.builder.linear("w", in, out, {.bias = bias, .activation = activation, .residual = add}));
  }
};

/// Every shape with every combination that the op's epilogue allows.
inline std::vector<LinearCase> linear_cases() {
  const std::pair<Shape, int64_t> shapes[] = {
      {{1, 1, 1}, 1},       {{1, 1, 3}, 4},     {{2, 1, 5}, 1},    {{1, 95, 31}, 33}, {{1, 96, 33}, 31},
      {{1, 97, 64}, 17},    {{1, 7, 319}, 16},  {{3, 2, 320}, 15}, {{1, 5, 321}, 33}, {{1, 13, 640}, 40},
      {{1, 3, 641}, 81},    {{1, 97, 5}, 321},  {{2, 960}, 100},   {{2, 96, 4}, 3},   {{1, 1, 1280}, 8},
      {{2, 3, 5, 40}, 320}, {{1, 1, 1, 31}, 4}, {{1, 12, 18}, 32}, {{3, 33, 100}, 48}};
  std::vector<LinearCase> cases;
  for (const auto& [shape, out] : shapes) {
    for (const Activation activation : kActivations) {
      for (int flags = 0; flags < 4; ++flags)
        cases.push_back({shape, out, (flags & 1) != 0, activation, (flags & 2) != 0});
    }
  }
  cases.push_back({{1, 2, 1300}, 900, true, Activation::kNone, false});  // read in two pieces, cut inside a panel
  return cases;
}

struct ConvCase {
  Shape x;
  int64_t out, kernel, stride, before, after;
  bool channel_add = false;
  Activation activation = Activation::kNone;
  bool residual = false;
  std::string text() const {
    return "conv2d " + x.text() + " -> " + std::to_string(out) + " kernel " + std::to_string(kernel) + " stride " +
           std::to_string(stride) + " pad " + std::to_string(before) + "," + std::to_string(after) +
           (channel_add ? " channel_add " : " ") + activation_name(activation) + (residual ? " residual" : "");
  }
  Ready make() const {
    Bench bench(static_cast<uint64_t>(x.elements() * 37 + out));
    const ValueId in = bench.input(x);
    const sdgen::Conv2dOp extent{
        .in = x[3], .out = out, .kernel = kernel, .stride = stride, .pad_before = before, .pad_after = after};
    const ValueId add = channel_add ? bench.input({x[0], out}) : -1;
    const ValueId rest = residual ? bench.input(infer(extent, x)) : -1;
    return bench.finish(bench.builder.conv2d("w", in, out,
                                             {.kernel = kernel,
                                              .stride = stride,
                                              .pad_before = before,
                                              .pad_after = after,
                                              .channel_add = add,
                                              .activation = activation,
                                              .residual = rest}));
  }
};

inline std::vector<ConvCase> conv_cases() {
  const ConvCase shapes[] = {
      {{1, 1, 1, 3}, 4, 3, 1, 1, 1},   {{2, 5, 7, 4}, 5, 3, 1, 1, 1},   {{1, 9, 11, 31}, 33, 3, 1, 1, 1},
      {{3, 3, 2, 5}, 3, 3, 2, 1, 1},   {{1, 8, 8, 4}, 16, 3, 2, 0, 1},  {{2, 7, 9, 33}, 17, 3, 2, 0, 1},
      {{1, 4, 5, 107}, 6, 3, 1, 1, 1}, {{1, 3, 5, 106}, 5, 3, 1, 1, 1}, {{1, 2, 3, 320}, 7, 3, 1, 1, 1},
      {{1, 2, 2, 321}, 3, 3, 1, 1, 1}, {{1, 6, 16, 8}, 5, 3, 1, 1, 1},  {{1, 5, 19, 6}, 5, 3, 1, 1, 1},
      {{1, 97, 1, 6}, 7, 3, 1, 1, 1},  {{2, 3, 5, 640}, 5, 1, 1, 0, 0}, {{1, 4, 4, 3}, 330, 3, 1, 1, 1},
      {{2, 1, 1, 33}, 1, 1, 1, 0, 0},  {{2, 7, 7, 3}, 18, 3, 1, 1, 1},  {{1, 13, 15, 5}, 31, 3, 2, 1, 1},
      {{3, 2, 2, 4}, 4, 3, 2, 0, 1}};
  std::vector<ConvCase> cases;
  for (ConvCase c : shapes) {
    for (const Activation activation : kActivations) {
      for (int flags = 0; flags < 4; ++flags) {
        c.channel_add = (flags & 1) != 0;
        c.residual = (flags & 2) != 0;
        c.activation = activation;
        cases.push_back(c);
      }
    }
  }
  cases.push_back({{1, 1, 1, 900}, 132, 3, 1, 1, 1});  // its weight is read in two pieces, cut inside a panel
  // Few outputs: pixels beyond a vector's, rows beyond a band's, channels beyond a chunk's.
  for (const ConvCase& c : {ConvCase{{1, 17, 66, 107}, 3, 3, 1, 1, 1}, ConvCase{{2, 3, 131, 18}, 2, 3, 1, 1, 1},
                            ConvCase{{1, 35, 15, 16}, 4, 3, 1, 1, 1}, ConvCase{{1, 2, 65, 33}, 1, 1, 1, 0, 0},
                            ConvCase{{1, 1, 64, 330}, 4, 1, 1, 0, 0}}) {
    cases.push_back(c);
  }
  return cases;
}

struct GroupNormCase {
  Shape x;
  int64_t groups;
  double eps;
  bool silu;
  float offset;
  std::string text() const {
    return "group_norm " + x.text() + " groups " + std::to_string(groups) + (silu ? " silu" : "");
  }
  Ready make() const {
    Bench bench(static_cast<uint64_t>(x.elements() * 41 + groups));
    const ValueId in = bench.input(x, 1.5f, offset);
    return bench.finish(bench.builder.group_norm("n", in, groups, eps, silu));
  }
};

inline std::vector<GroupNormCase> group_norm_cases() {
  const std::pair<Shape, int64_t> shapes[] = {{{1, 1, 1, 32}, 32},   {{2, 1, 1, 64}, 1},    {{1, 127, 1, 33}, 1},
                                              {{1, 1, 128, 64}, 32}, {{3, 3, 43, 96}, 32},  {{1, 15, 20, 40}, 8},
                                              {{2, 4, 4, 96}, 32},   {{1, 15, 20, 64}, 32}, {{2, 127, 1, 64}, 32},
                                              {{1, 129, 1, 31}, 31}, {{1, 16, 17, 96}, 1},  {{1, 3, 3, 32}, 1}};
  std::vector<GroupNormCase> cases;
  for (const auto& [shape, groups] : shapes) {
    for (const bool silu : {false, true}) {
      for (const double eps : {1e-5, 1e-6}) cases.push_back({shape, groups, eps, silu, eps == 1e-5 ? 0.0f : 2.5f});
    }
  }
  return cases;
}

struct LayerNormCase {
  Shape x;
  float offset;
  std::string text() const { return "layer_norm " + x.text(); }
  Ready make() const {
    Bench bench(static_cast<uint64_t>(x.elements() * 43));
    return bench.finish(bench.builder.layer_norm("n", bench.input(x, 2.0f, offset)));
  }
};

inline std::vector<LayerNormCase> layer_norm_cases() {
  std::vector<LayerNormCase> cases;
  for (const int64_t channels : {1, 2, 31, 32, 33, 63, 77, 320, 768}) {
    for (const int64_t batch : {1, 3}) {
      for (const int64_t rows : {1, 5, 17}) cases.push_back({{batch, rows, channels}, batch == 1 ? 0.0f : -3.0f});
    }
  }
  return cases;
}

struct AttentionCase {
  int64_t batch, queries, keys, heads, size;
  bool causal;
  float scale;  // of q: larger ones make the softmax steep and move its maximum from block to block
  std::string text() const {
    return "attention batch " + std::to_string(batch) + " queries " + std::to_string(queries) + " keys " +
           std::to_string(keys) + " heads " + std::to_string(heads) + " size " + std::to_string(size) +
           (causal ? " causal" : "");
  }
  Ready make() const {
    Bench bench(static_cast<uint64_t>((queries * 131 + keys) * 47 + size));
    const int64_t width = heads * size;
    const ValueId q = bench.input({batch, queries, width}, scale), k = bench.input({batch, keys, width}),
                  v = bench.input({batch, keys, width});
    return bench.finish(bench.builder.attention(q, k, v, heads, causal));
  }
};

inline std::vector<AttentionCase> attention_cases() {
  std::vector<AttentionCase> cases;
  constexpr int64_t kQueries[] = {1, 33, 7, 65, 32, 16};
  int64_t i = 0;
  for (const int64_t size : {1, 5, 8, 40, 64, 80, 160, 512}) {
    for (const int64_t keys : {1, 63, 64, 65, 77, 130}) {
      cases.push_back({1 + i % 3, size < 160 ? kQueries[i % 6] : 3, keys, size < 80 ? 1 + i % 5 : 1, size, false,
                       i % 2 == 0 ? 1.0f : 6.0f});
      ++i;
    }
  }
  for (const int64_t size : {1, 5, 40, 64}) {
    for (const int64_t keys : {1, 63, 64, 65, 77, 130})
      cases.push_back({1 + keys % 2, keys, keys, 1 + size % 3, size, true, 3.0f});
  }
  cases.push_back({1, 5, 9, 2, 8, true, 2.0f});
  cases.push_back({1, 70, 66, 2, 8, true, 2.0f});
  return cases;
}

}  // namespace sdgen_test
