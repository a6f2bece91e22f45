// Online softmax over blocks of keys: Milakov and Gimelshein, Online normalizer calculation for softmax; in the order of
// docs/numerics.md.
#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "backends/host/clones.h"
#include "backends/reference/product.h"
#include "backends/reference/task.h"
#include "base/math.h"

namespace sdgen::reference {
namespace {

constexpr int64_t kKeyBlock = 64;
constexpr int64_t kQueryBlock = 192;
constexpr double kLog2E = 0x1.71547652b82fep+0;

struct Head {
  const float *q, *k, *v;  // first value of this image and head
  float* out;
  int64_t stride, size;    // between tokens; values a head
  int64_t queries, keys;
  float c;                 // log2(e) / sqrt(size)
  bool causal;
};

/// Memory of one thread for one block of queries.
struct Scratch {
  explicit Scratch(int64_t size)
      : width(panels(size) * kPanel), keys(static_cast<size_t>(size * kKeyBlock)), values(static_cast<size_t>(width * kKeyBlock)),
        scores(kQueryBlock * kKeyBlock), o(static_cast<size_t>(width * kQueryBlock)), m(kQueryBlock), l(kQueryBlock) {}
  int64_t width;              // of a row of o: whole panels
  std::vector<float> keys;    // [kKeyBlock / kPanel][size][kPanel]
  std::vector<float> values;  // [width / kPanel][kKeyBlock][kPanel]
  std::vector<float> scores;  // [kQueryBlock][kKeyBlock]; powers after the softmax
  std::vector<float> o, m, l;
};

/// p[j] = exp2(fma(s[j], c, -mc)), in place; entries beyond the last key are computed and never used.
SDGEN_CLONES void powers(float* s, float c, float mc) {
  for (int64_t j = 0; j < kKeyBlock; ++j) s[j] = math::exp2_f32(math::fma(s[j], c, -mc));
}

SDGEN_CLONES void scale(float* x, float factor, int64_t count) {
  for (int64_t i = 0; i < count; ++i) x[i] *= factor;
}

/// Keys and values [first, first + count) into panels; keys beyond the last are +0, columns beyond the head's are +0.
void pack_block(const Head& head, int64_t first, int64_t count, Scratch& scratch) {
  std::fill(scratch.keys.begin(), scratch.keys.end(), 0.0f);
  std::fill(scratch.values.begin(), scratch.values.end(), 0.0f);
  for (int64_t j = 0; j < count; ++j) {
    const float* key = head.k + (first + j) * head.stride;
    const float* value = head.v + (first + j) * head.stride;
    float* keys = scratch.keys.data() + j / kPanel * head.size * kPanel + j % kPanel;
    for (int64_t d = 0; d < head.size; ++d) {
      keys[d * kPanel] = key[d];
      scratch.values[static_cast<size_t>((d / kPanel * kKeyBlock + j) * kPanel + d % kPanel)] = value[d];
    }
  }
}

/// Brings m to the new maximum of rows [i, i + rows). Keys outside, rows inside: the rows' chains do not wait for each other.
SDGEN_CLONES void raise_maxima(const float* scores, int64_t i, int64_t rows, int64_t keys, float* m) {
  for (int64_t j = 0; j < keys; ++j) {
    for (int64_t r = i; r < i + rows; ++r) m[r] = math::max(m[r], scores[r * kKeyBlock + j]);
  }
}

/// l += p_j in key order, for rows [i, i + rows).
SDGEN_CLONES void add_powers(const float* scores, int64_t i, int64_t rows, int64_t keys, float* l) {
  for (int64_t j = 0; j < keys; ++j) {
    for (int64_t r = i; r < i + rows; ++r) l[r] += scores[r * kKeyBlock + j];
  }
}

/// Turns the scores of rows [i, i + rows) into powers and brings m, l and o to the new maxima.
void soften(const Head& head, bool first_block, int64_t keys, int64_t i, int64_t rows, Scratch& scratch) {
  float before[kQueryBlock];
  std::copy_n(scratch.m.begin() + i, rows, before);
  raise_maxima(scratch.scores.data(), i, rows, keys, scratch.m.data());
  for (int64_t r = i; r < i + rows; ++r) {
    const auto row = static_cast<size_t>(r);
    const float m = scratch.m[row], old = before[r - i], mc = m * head.c;
    powers(scratch.scores.data() + r * kKeyBlock, head.c, mc);
    if (first_block || m == old) continue;
    const float alpha = math::exp2_f32(old * head.c - mc);
    scratch.l[row] *= alpha;
    scale(scratch.o.data() + r * scratch.width, alpha, scratch.width);
  }
  add_powers(scratch.scores.data(), i, rows, keys, scratch.l.data());
}

/// o = fma(p_j, v_j, o) in key order for rows [i, i + rows).
void weigh(int64_t i, int64_t rows, int64_t keys, Scratch& scratch) {
  for (int64_t d = 0; d < scratch.width; d += kPanel) {
    multiply_panel(scratch.scores.data() + i * kKeyBlock, kKeyBlock, rows, scratch.values.data() + d * kKeyBlock, keys,
                   scratch.o.data() + i * scratch.width + d, scratch.width, Start::kContinue);
  }
}

void add_block(const Head& head, int64_t first_query, int64_t queries, int64_t first_key, Scratch& scratch) {
  const int64_t count = std::min(kKeyBlock, head.keys - first_key);
  pack_block(head, first_key, count, scratch);
  for (int64_t j = 0; j < kKeyBlock; j += kPanel) {
    multiply_panel(head.q + first_query * head.stride, head.stride, queries, scratch.keys.data() + j * head.size, head.size,
                   scratch.scores.data() + j, kKeyBlock, Start::kStore);
  }
  if (!head.causal) {
    soften(head, first_key == 0, count, 0, queries, scratch);
    weigh(0, queries, count, scratch);
    return;
  }
  for (int64_t i = 0; i < queries; ++i) {
    const int64_t seen = std::min(count, first_query + i - first_key + 1);
    if (seen <= 0) continue;
    soften(head, first_key == 0, seen, i, 1, scratch);
    weigh(i, 1, seen, scratch);
  }
}

void attend(const Head& head, int64_t first_query, int64_t queries, Scratch& scratch) {
  std::fill(scratch.o.begin(), scratch.o.end(), 0.0f);
  std::fill(scratch.l.begin(), scratch.l.end(), 0.0f);
  std::fill(scratch.m.begin(), scratch.m.end(), -std::numeric_limits<float>::infinity());
  const int64_t last_key = head.causal ? std::min(head.keys, first_query + queries) : head.keys;
  for (int64_t key = 0; key < last_key; key += kKeyBlock) add_block(head, first_query, queries, key, scratch);
  for (int64_t i = 0; i < queries; ++i) {
    const float inverse = 1.0f / scratch.l[static_cast<size_t>(i)];
    const float* o = scratch.o.data() + i * scratch.width;
    float* out = head.out + (first_query + i) * head.stride;
    for (int64_t d = 0; d < head.size; ++d) out[d] = o[d] * inverse;
  }
}

}  // namespace

void run_op(const AttentionOp& op, const Task& task) {
  const int64_t images = task.in_shape(0)[0], channels = task.in_shape(0).channels();
  const int64_t queries = task.in_shape(0).rows_per_image(), keys = task.in_shape(1).rows_per_image();
  const int64_t size = channels / op.heads, query_blocks = (queries + kQueryBlock - 1) / kQueryBlock;
  const auto c = static_cast<float>(kLog2E / std::sqrt(static_cast<double>(size)));

  task.pool.parallel_for(images * op.heads * query_blocks, 1, [&](int64_t begin, int64_t end, int) {
    Scratch scratch(size);
    for (int64_t t = begin; t < end; ++t) {
      const int64_t query = t % query_blocks * kQueryBlock, h = t / query_blocks % op.heads, image = t / query_blocks / op.heads;
      const int64_t q_at = image * queries * channels + h * size, k_at = image * keys * channels + h * size;
      const Head head{task.in(0) + q_at, task.in(1) + k_at, task.in(2) + k_at, task.out() + q_at, channels, size, queries, keys, c,
                      op.causal};
      attend(head, query, std::min(kQueryBlock, queries - query), scratch);
    }
  });
}

}  // namespace sdgen::reference
