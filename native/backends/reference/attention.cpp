#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "backends/reference/clones.h"
#include "backends/reference/task.h"
#include "base/math.h"

namespace sdgen::reference {
namespace {

constexpr int64_t kKeyBlock = 64;
constexpr int64_t kQueryBlock = 32;
constexpr double kLog2E = 0x1.71547652b82fep+0;
constexpr int64_t kLanes = 32;

struct Head {
  const float *q, *k, *v;  // first value of this image and head
  float* out;
  int64_t stride, size;    // between tokens; values a head
  int64_t queries, keys;
  float c;                 // log2(e) / sqrt(size)
  bool causal;
};

/// What the online softmax carries for one query; o has `size` values.
struct QueryState {
  float m, l;
  float* o;
};

/// s[j] = one fma chain over the head's values from +0, for the 64 keys of a transposed block.
SDGEN_CLONES void scores(const float* q, const float* keys, int64_t size, float* s) {
  for (int64_t j = 0; j < kKeyBlock; ++j) s[j] = 0.0f;
  for (int64_t d = 0; d < size; ++d) {
    for (int64_t j = 0; j < kKeyBlock; ++j) s[j] = std::fma(q[d], keys[d * kKeyBlock + j], s[j]);
  }
}

SDGEN_CLONES void powers(const float* s, float c, float mc, float* p) {
  for (int64_t j = 0; j < kKeyBlock; ++j) p[j] = math::exp2_f32(std::fma(s[j], c, -mc));
}

/// o = o·alpha, then o = fma(p_j, v_j, o) in key order.
SDGEN_CLONES void weigh(const float* p, const float* v, int64_t stride, int64_t keys, float alpha, int64_t size, float* o) {
  int64_t d = 0;
  for (; d + kLanes <= size; d += kLanes) {
    float acc[kLanes];
    for (int64_t i = 0; i < kLanes; ++i) acc[i] = o[d + i] * alpha;
    for (int64_t j = 0; j < keys; ++j) {
      for (int64_t i = 0; i < kLanes; ++i) acc[i] = std::fma(p[j], v[j * stride + d + i], acc[i]);
    }
    for (int64_t i = 0; i < kLanes; ++i) o[d + i] = acc[i];
  }
  for (int64_t i = d; i < size; ++i) o[i] *= alpha;
  for (int64_t j = 0; j < keys; ++j) {
    for (int64_t i = d; i < size; ++i) o[i] = std::fma(p[j], v[j * stride + i], o[i]);
  }
}

void add_block(const Head& head, int64_t query, const float* keys, int64_t first_key, int64_t count, QueryState& state) {
  float s[kKeyBlock], p[kKeyBlock];
  scores(head.q + query * head.stride, keys, head.size, s);
  float m = state.m;
  for (int64_t j = 0; j < count; ++j) m = m < s[j] ? s[j] : m;
  const float mc = m * head.c;
  float alpha = 1.0f;
  if (first_key != 0 && m != state.m) alpha = math::exp2_f32(state.m * head.c - mc);
  powers(s, head.c, mc, p);
  state.l *= alpha;
  for (int64_t j = 0; j < count; ++j) state.l += p[j];
  weigh(p, head.v + first_key * head.stride, head.stride, count, alpha, head.size, state.o);
  state.m = m;
}

/// keys[d][j] of one block; keys beyond the last are +0 and never used.
void transpose_block(const Head& head, int64_t first_key, int64_t count, float* keys) {
  for (int64_t d = 0; d < head.size; ++d) std::fill(keys + d * kKeyBlock + count, keys + (d + 1) * kKeyBlock, 0.0f);
  for (int64_t j = 0; j < count; ++j) {
    const float* row = head.k + (first_key + j) * head.stride;
    for (int64_t d = 0; d < head.size; ++d) keys[d * kKeyBlock + j] = row[d];
  }
}

void attend(const Head& head, int64_t first_query, int64_t query_end, std::vector<float>& keys, std::vector<float>& o) {
  keys.resize(static_cast<size_t>(head.size * kKeyBlock));
  o.assign(static_cast<size_t>(head.size * kQueryBlock), 0.0f);
  QueryState states[kQueryBlock];
  for (int64_t i = 0; i < query_end - first_query; ++i) {
    states[i] = {-std::numeric_limits<float>::infinity(), 0.0f, o.data() + i * head.size};
  }
  for (int64_t key = 0; key < head.keys; key += kKeyBlock) {
    const int64_t in_block = std::min(kKeyBlock, head.keys - key);
    if (head.causal && key > query_end - 1) break;
    transpose_block(head, key, in_block, keys.data());
    for (int64_t query = first_query; query < query_end; ++query) {
      const int64_t count = head.causal ? std::min(in_block, query - key + 1) : in_block;
      if (count > 0) add_block(head, query, keys.data(), key, count, states[query - first_query]);
    }
  }
  for (int64_t query = first_query; query < query_end; ++query) {
    const QueryState& state = states[query - first_query];
    const float inverse = 1.0f / state.l;
    for (int64_t d = 0; d < head.size; ++d) head.out[query * head.stride + d] = state.o[d] * inverse;
  }
}

}  // namespace

void run_op(const AttentionOp& op, const Task& task) {
  const int64_t images = task.in_shape(0)[0], channels = task.in_shape(0).channels();
  const int64_t queries = task.in_shape(0).rows_per_image(), keys = task.in_shape(1).rows_per_image();
  const int64_t size = channels / op.heads, query_blocks = (queries + kQueryBlock - 1) / kQueryBlock;
  const auto c = static_cast<float>(kLog2E / std::sqrt(static_cast<double>(size)));

  task.pool.parallel_for(images * op.heads * query_blocks, 1, [&](int64_t begin, int64_t end, int) {
    std::vector<float> key_block, o;
    for (int64_t t = begin; t < end; ++t) {
      const int64_t query = t % query_blocks * kQueryBlock, h = t / query_blocks % op.heads, image = t / query_blocks / op.heads;
      const int64_t q_at = image * queries * channels + h * size, k_at = image * keys * channels + h * size;
      const Head head{task.in(0) + q_at, task.in(1) + k_at, task.in(2) + k_at, task.out() + q_at, channels, size, queries, keys, c,
                      op.causal};
      attend(head, query, std::min(queries, query + kQueryBlock), key_block, o);
    }
  });
}

}  // namespace sdgen::reference
