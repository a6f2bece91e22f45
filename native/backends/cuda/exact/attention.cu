// Attention in the contract's order: keys in blocks of 64, an online softmax, every sum one chain. A block of threads has 64
// queries of one head and makes some of the head's values; where a head has more, its scores are computed again for each
// slice, which changes no bit.
#include "backends/cuda/device_code.h"
#include "backends/cuda/exact/params.h"

namespace sdgen::cuda::exact {
namespace {

constexpr int kThreads = 256;

/// Where this block works.
struct Place {
  const float *q, *k, *v;  // first value of this image and head
  float* out;
  int64_t first_query;
  int first_value;
  SDGEN_DEVICE Place(const AttentionParams& p, int values) {
    const int64_t head = blockIdx.y % p.heads, image = blockIdx.y / p.heads;
    q = p.q + image * p.queries * p.width + head * p.size;
    k = p.k + image * p.keys * p.width + head * p.size;
    v = p.v + image * p.keys * p.width + head * p.size;
    out = p.out + image * p.queries * p.width + head * p.size;
    first_query = static_cast<int64_t>(blockIdx.x) * kQueries;
    first_value = static_cast<int>(blockIdx.z) * values;
  }
};

/// Values [d, d + depth) of 64 tokens into tile[value][token]; tokens beyond the last are +0.
SDGEN_DEVICE void read_tokens(const float* x, int64_t stride, int64_t first, int64_t tokens, int d, int depth, float (*tile)[kQueries + 4]) {
  for (int at = threadIdx.x; at < 64 * kDepth; at += kThreads) {
    const int i = at % kDepth, token = at / kDepth;
    const bool inside = i < depth && first + token < tokens;
    tile[i][token] = inside ? x[(first + token) * stride + d + i] : 0.0f;
  }
}

/// Scores of 64 queries and 64 keys: one chain over the head's values each.
template <int Values>
SDGEN_DEVICE void score(const AttentionParams& p, const Place& place, int64_t first_key, AttentionTile<Values>& tile) {
  const int row = static_cast<int>(threadIdx.x) / 16 * 4, column = static_cast<int>(threadIdx.x) % 16 * 4;
  float s[4][4] = {};
  for (int d = 0; d < p.size; d += kDepth) {
    const int depth = p.size - d < kDepth ? p.size - d : kDepth;
    read_tokens(place.q, p.width, place.first_query, p.queries, d, depth, tile.q);
    read_tokens(place.k, p.width, first_key, p.keys, d, depth, tile.k);
    __syncthreads();
    for (int i = 0; i < depth; ++i) {
#pragma unroll
      for (int r = 0; r < 4; ++r) {
#pragma unroll
        for (int c = 0; c < 4; ++c) s[r][c] = math::fma(tile.q[i][row + r], tile.k[i][column + c], s[r][c]);
      }
    }
    __syncthreads();
  }
#pragma unroll
  for (int r = 0; r < 4; ++r) {
#pragma unroll
    for (int c = 0; c < 4; ++c) tile.s[row + r][column + c] = s[r][c];
  }
}

/// Thread r raises the maximum of query r; the others see mc, alpha and how many keys count.
template <int Values>
SDGEN_DEVICE void raise_maximum(const AttentionParams& p, const Place& place, int64_t first_key, float& m, AttentionTile<Values>& tile) {
  const int r = static_cast<int>(threadIdx.x);
  if (r >= kQueries) return;
  const int64_t left = p.keys - first_key, visible = place.first_query + r - first_key + 1;
  int64_t seen = left < kKeys ? left : kKeys;
  if (p.causal && visible < seen) seen = visible < 0 ? 0 : visible;
  const float before = m;
  for (int j = 0; j < seen; ++j) m = math::max(m, tile.s[r][j]);
  const float mc = m * p.c;
  tile.seen[r] = static_cast<int32_t>(seen);
  tile.mc[r] = mc;
  tile.alpha[r] = first_key == 0 || m == before ? 1.0f : math::exp2_f32(before * p.c - mc);
}

template <int Values>
SDGEN_DEVICE void attend(const AttentionParams& p) {
  auto& tile = shared_as<AttentionTile<Values>>();
  const Place place(p, Values);
  const int row = static_cast<int>(threadIdx.x) / 16 * 4, column = static_cast<int>(threadIdx.x) % 16;
  constexpr int kColumns = Values / 16;
  float o[4][kColumns] = {};
  float m = -__builtin_huge_valf(), l = 0.0f;

  const int64_t end = place.first_query + kQueries;
  const int64_t keys = p.causal && end < p.keys ? end : p.keys;
  for (int64_t first_key = 0; first_key < keys; first_key += kKeys) {
    score(p, place, first_key, tile);
    __syncthreads();
    raise_maximum(p, place, first_key, m, tile);
    __syncthreads();
    for (int at = threadIdx.x; at < kQueries * kKeys; at += kThreads) {
      float& s = tile.s[at / kKeys][at % kKeys];
      s = math::exp2_f32(math::fma(s, p.c, -tile.mc[at / kKeys]));
    }
#pragma unroll
    for (int r = 0; r < 4; ++r) {
#pragma unroll
      for (int c = 0; c < kColumns; ++c) o[r][c] *= tile.alpha[row + r];
    }
    __syncthreads();
    if (threadIdx.x < kQueries) {
      l *= tile.alpha[threadIdx.x];
      for (int j = 0; j < tile.seen[threadIdx.x]; ++j) l += tile.s[threadIdx.x][j];
    }
    for (int j = 0; j < kKeys && first_key + j < keys; j += kDepth) {
      for (int at = threadIdx.x; at < kDepth * Values; at += kThreads) {
        const int64_t key = first_key + j + at / Values;
        const int d = place.first_value + at % Values;
        tile.v[at / Values][at % Values] = key < p.keys && d < p.size ? place.v[key * p.width + d] : 0.0f;
      }
      __syncthreads();
      for (int i = 0; i < kDepth; ++i) {
#pragma unroll
        for (int r = 0; r < 4; ++r) {
          if (j + i >= tile.seen[row + r]) continue;
          const float power = tile.s[row + r][j + i];
#pragma unroll
          for (int c = 0; c < kColumns; ++c) o[r][c] = math::fma(power, tile.v[i][column + c * 16], o[r][c]);
        }
      }
      __syncthreads();
    }
  }
  if (threadIdx.x < kQueries) tile.inverse[threadIdx.x] = 1.0f / l;
  __syncthreads();
#pragma unroll
  for (int r = 0; r < 4; ++r) {
    const int64_t query = place.first_query + row + r;
#pragma unroll
    for (int c = 0; c < kColumns; ++c) {
      const int d = place.first_value + column + c * 16;
      if (query < p.queries && d < p.size) place.out[query * p.width + d] = o[r][c] * tile.inverse[row + r];
    }
  }
}

}  // namespace
}  // namespace sdgen::cuda::exact

SDGEN_KERNEL(exact_attention_48, sdgen::cuda::exact::AttentionParams, 256, 2) { sdgen::cuda::exact::attend<48>(p); }
SDGEN_KERNEL(exact_attention_64, sdgen::cuda::exact::AttentionParams, 256, 2) { sdgen::cuda::exact::attend<64>(p); }
SDGEN_KERNEL(exact_attention_80, sdgen::cuda::exact::AttentionParams, 256, 1) { sdgen::cuda::exact::attend<80>(p); }
