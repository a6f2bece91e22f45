// Flash attention (Dao et al.) on tensor cores: scores, an online softmax in float32 and its product with v stay in
// registers. A block has 64 queries of one head, a warp 16 of them, and makes `Values` of the head's values; a wider head
// (the autoencoder's, of 512) is cut into slices, each of which makes the scores again from pieces of q and k.
#include "backends/cuda/fast/params.h"
#include "backends/cuda/ptx.h"

namespace sdgen::cuda::fast {
namespace {

/// Where this block works.
struct Place {
  const Half *q, *k, *v;  // first value of this image and head
  Half* out;
  int first_query, first_value;
  SDGEN_DEVICE Place(const AttentionParams& p, int values) {
    const int64_t head = blockIdx.y % p.heads, image = blockIdx.y / p.heads;
    q = p.q + image * p.queries * p.width + head * p.size;
    k = p.k + image * p.keys * p.width + head * p.size;
    v = p.v + image * p.keys * p.width + head * p.size;
    out = p.out + image * p.queries * p.width + head * p.size;
    first_query = static_cast<int>(blockIdx.x) * kQueries;
    first_value = static_cast<int>(blockIdx.z) * values;
  }
};

/// Values [d, d + Values) of 64 tokens into shared memory; what lies beyond the last token or value is zero.
template <int Values>
SDGEN_DEVICE void read_tokens(const AttentionParams& p, const Half* x, int first, int tokens, int d, Half (*to)[Values + 8]) {
  constexpr int kParts = Values / 8;
  for (int at = threadIdx.x; at < 64 * kParts; at += kAttentionThreads) {
    const int token = at / kParts, part = at % kParts * 8, left = p.size - d - part;
    const bool inside = first + token < tokens && left > 0;
    const Half* from = x + static_cast<int64_t>(first + token) * p.width + d + part;
    if (p.size % 8 == 0) {
      copy16_async(&to[token][part], inside ? from : x, inside);
    } else {
      for (int i = 0; i < 8; ++i) to[token][part + i] = inside && i < left ? from[i] : Half{0};
    }
  }
}

/// A warp's 16 queries against 64 keys: eight squares of 16×8. [i][e]: query lane / 4 + e / 2 · 8, key 8i + 2·(lane mod 4) + e mod 2.
using Scores = float[kKeys / 8][4];

template <int Values>
SDGEN_DEVICE void add_scores(const AttentionTile<Values>& tile, Scores& s) {
  const int lane = static_cast<int>(threadIdx.x) % 32, row = static_cast<int>(threadIdx.x) / 32 * 16;
#pragma unroll
  for (int d = 0; d < Values; d += 16) {
    uint32_t q[4], k[4];
    load_matrices(q, &tile.q[row + lane % 16][d + lane / 16 * 8]);
#pragma unroll
    for (int j = 0; j < kKeys / 16; ++j) {
      load_matrices(k, &tile.k[j * 16 + lane / 16 * 8 + lane % 8][d + lane / 8 % 2 * 8]);
      multiply_add(s[2 * j], q, k[0], k[1]);
      multiply_add(s[2 * j + 1], q, k[2], k[3]);
    }
  }
}

SDGEN_DEVICE float over_row(float x, bool maximum) {
  for (int h = 1; h <= 2; h *= 2) {
    const float other = __shfl_xor_sync(0xffffffffu, x, h);
    x = maximum ? math::max(x, other) : x + other;
  }
  return x;
}

/// One warp's running softmax: of the two queries a lane has.
template <int Values>
struct Softmax {
  float m[2], l[2], o[Values / 8][4];

  SDGEN_DEVICE Softmax() {
    for (int r = 0; r < 2; ++r) {
      m[r] = -__builtin_huge_valf();
      l[r] = 0.0f;
    }
#pragma unroll
    for (int i = 0; i < Values / 8; ++i) {
      for (int e = 0; e < 4; ++e) o[i][e] = 0.0f;
    }
  }

  /// Scores become powers of the new maximum; what was summed before is brought to it. `seen`: keys each query sees.
  SDGEN_DEVICE void take(Scores& s, const int (&seen)[2], float c) {
    const int first = static_cast<int>(threadIdx.x) % 4 * 2;
#pragma unroll
    for (int r = 0; r < 2; ++r) {
      float most = m[r];
#pragma unroll
      for (int i = 0; i < kKeys / 8; ++i) {
#pragma unroll
        for (int e = 0; e < 2; ++e) {
          if (i * 8 + first + e < seen[r]) most = math::max(most, s[i][2 * r + e]);
        }
      }
      most = over_row(most, true);
      const float alpha = m[r] == most ? 1.0f : math::exp2_f32((m[r] - most) * c);
      m[r] = most;
      l[r] *= alpha;
      const float mc = most * c;
#pragma unroll
      for (int i = 0; i < kKeys / 8; ++i) {
#pragma unroll
        for (int e = 0; e < 2; ++e) {
          const float power = i * 8 + first + e < seen[r] ? math::exp2_f32(math::fma(s[i][2 * r + e], c, -mc)) : 0.0f;
          s[i][2 * r + e] = power;
          l[r] += power;
        }
      }
#pragma unroll
      for (int i = 0; i < Values / 8; ++i) {
        o[i][2 * r] *= alpha;
        o[i][2 * r + 1] *= alpha;
      }
    }
  }

  SDGEN_DEVICE void add_values(const AttentionTile<Values>& tile, const Scores& s) {
    const int lane = static_cast<int>(threadIdx.x) % 32;
#pragma unroll
    for (int j = 0; j < kKeys / 16; ++j) {
      const uint32_t powers[4] = {pack_halves(s[2 * j][0], s[2 * j][1]), pack_halves(s[2 * j][2], s[2 * j][3]),
                                  pack_halves(s[2 * j + 1][0], s[2 * j + 1][1]), pack_halves(s[2 * j + 1][2], s[2 * j + 1][3])};
#pragma unroll
      for (int i = 0; i < Values / 16; ++i) {
        uint32_t v[4];
        load_matrices_transposed(v, &tile.v[j * 16 + lane % 16][i * 16 + lane / 16 * 8]);
        multiply_add(o[2 * i], powers, v[0], v[1]);
        multiply_add(o[2 * i + 1], powers, v[2], v[3]);
      }
    }
  }

  SDGEN_DEVICE void write(const AttentionParams& p, const Place& place) {
    const int lane = static_cast<int>(threadIdx.x) % 32;
#pragma unroll
    for (int r = 0; r < 2; ++r) {
      const int query = place.first_query + static_cast<int>(threadIdx.x) / 32 * 16 + lane / 4 + 8 * r;
      const float inverse = 1.0f / over_row(l[r], false);
#pragma unroll
      for (int i = 0; i < Values / 8; ++i) {
#pragma unroll
        for (int e = 0; e < 2; ++e) {
          const int d = place.first_value + i * 8 + lane % 4 * 2 + e;
          if (query < p.queries && d < p.size) place.out[static_cast<int64_t>(query) * p.width + d] = to_half(o[i][2 * r + e] * inverse);
        }
      }
    }
  }
};

template <int Values>
SDGEN_DEVICE void attend(const AttentionParams& p) {
  auto& tile = shared_as<AttentionTile<Values>>();
  const Place place(p, Values);
  const int own_query = place.first_query + static_cast<int>(threadIdx.x) / 32 * 16 + static_cast<int>(threadIdx.x) % 32 / 4;
  const int end = place.first_query + kQueries, keys = p.causal && end < p.keys ? end : p.keys;
  Softmax<Values> softmax;
  for (int key = 0; key < keys; key += kKeys) {
    Scores s = {};
    read_tokens<Values>(p, place.v, key, p.keys, place.first_value, tile.v);
    for (int d = 0; d < p.size; d += Values) {
      if (key == 0 || p.size > Values) read_tokens<Values>(p, place.q, place.first_query, p.queries, d, tile.q);
      read_tokens<Values>(p, place.k, key, p.keys, d, tile.k);
      commit_copies();
      wait_copies<0>();
      __syncthreads();
      add_scores(tile, s);
      __syncthreads();
    }
    int seen[2];
    for (int r = 0; r < 2; ++r) {
      const int visible = own_query + 8 * r + 1 - key;
      seen[r] = p.keys - key;
      if (p.causal && visible < seen[r]) seen[r] = visible;
    }
    softmax.take(s, seen, p.c);
    softmax.add_values(tile, s);
    __syncthreads();  // v is read
  }
  softmax.write(p, place);
}

}  // namespace
}  // namespace sdgen::cuda::fast

using namespace sdgen::cuda;

SDGEN_KERNEL(fast_attention_48, fast::AttentionParams, 128, 3) { fast::attend<48>(p); }
SDGEN_KERNEL(fast_attention_64, fast::AttentionParams, 128, 3) { fast::attend<64>(p); }
SDGEN_KERNEL(fast_attention_80, fast::AttentionParams, 128, 3) { fast::attend<80>(p); }
SDGEN_KERNEL(fast_attention_128, fast::AttentionParams, 128, 2) { fast::attend<128>(p); }
SDGEN_KERNEL(fast_attention_160, fast::AttentionParams, 128, 2) { fast::attend<160>(p); }
