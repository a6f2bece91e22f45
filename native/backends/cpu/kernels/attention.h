#pragma once
// Attention with the queries in lanes: scores, powers and outputs are kept transposed, so that no sum runs across lanes.
// Keys and values come packed per head (see AttentionBlock). Included by the levels' files only, after product.h.
#include <cstdint>

#include "backends/cpu/kernels/product.h"

namespace sdgen::cpu {
namespace {

constexpr int64_t kKeyBlock = 64;

/// 2^clamp(x, -126, 127): math::exp2_f32, lane by lane.
inline F32 exp2_lanes(F32 x) {
  x = min(max(x, F32::all(-126.0f)), F32::all(127.0f));
  const F32 shifter = F32::all(0x1.8p23f), t = x + shifter, n = t - shifter, r = x - n;
  F32 p = F32::all(0x1.416b52p-13f);
  p = fma(p, r, F32::all(0x1.5f082ep-10f));
  p = fma(p, r, F32::all(0x1.3b2de0p-7f));
  p = fma(p, r, F32::all(0x1.c6af7cp-5f));
  p = fma(p, r, F32::all(0x1.ebfbdcp-3f));
  p = fma(p, r, F32::all(0x1.62e430p-1f));
  p = fma(p, r, F32::all(1.0f));
  return times_two_to(p, n, t);
}

/// Rows of the next tile when `left` are to be shared out among tiles of about the same height.
inline int64_t next_rows(int64_t left) {
  const int64_t tiles = (left + kMaxRows - 1) / kMaxRows;
  return (left + tiles - 1) / tiles;
}

/// What vector code shares: `How` is the way of one storage type (FloatAttention and its like), which says how the
/// operands of the two products lie in memory and computes `rows` of a weighing.
template <typename How, int kVectorCount>
struct VectorAttention {
  static constexpr int kVectors = kVectorCount;
  static constexpr int64_t kQueries = kVectors * F32::kLanes;

  /// scores[j][query] for `keys` packed keys.
  template <typename T>
  static void score(const T* k, int64_t keys, const T* query, int64_t size, float* scores) {
    const int64_t stored = Dot<T>::stored(size);
    for (int64_t j = 0, rows; j < keys; j += rows) {
      rows = next_rows(keys - j);
      multiply_rows<T, kVectors>(static_cast<int>(rows), k + j * stored, stored, query, size, scores + j * kQueries, kQueries,
                                 Start::kStore);
    }
  }
  /// o += powers · values for a block of `keys`.
  template <bool kCausal, typename T>
  static void weigh(const T* values, int64_t size, T* powers, int64_t keys, int64_t ahead, float* o) {
    for (int64_t d = 0, rows; d < size; d += rows) {
      rows = next_rows(size - d);
      weigh_rows<kCausal>(rows, values + d * How::kValueStep, size, powers, keys, ahead, o + d * kQueries);
    }
  }

 private:
  template <bool kCausal, int kRows = kMaxRows, typename T>
  static void weigh_rows(int64_t rows, const T* values, int64_t size, const T* powers, int64_t keys, int64_t ahead, float* o) {
    if constexpr (kRows > 1) {
      if (rows < kRows) return weigh_rows<kCausal, kRows - 1>(rows, values, size, powers, keys, ahead, o);
    }
    How::template weigh_tile<kRows, kCausal>(values, size, powers, keys, ahead, o);
  }
};

struct FloatAttention : VectorAttention<FloatAttention, kMaxVectors> {
  using Stored = float;
  static constexpr int64_t kValueStep = 1;  // elements between a key's packed values
  static constexpr int kValueKeys = 1, kValueRows = 1, kBlocksInWork = 1;
  static int64_t stored(int64_t size) { return size; }
  static F32 power(F32 x) { return exp2_lanes(x); }
  static void put_powers(float* powers, int64_t j, int v, F32 even, F32 odd) {
    even.store(powers + j * kQueries + v * F32::kLanes);
    odd.store(powers + (j + 1) * kQueries + v * F32::kLanes);
  }
  /// Rows of q to columns: [size][kQueries].
  static void pack_queries(const float* q, int64_t stride, int64_t queries, int64_t size, float* packed) {
    transpose(q, stride, queries, size, packed, kQueries);
  }
  /// Columns of o (scaled already) to rows.
  static void unpack_outputs(const float* o, int64_t queries, int64_t size, float*, float* out, int64_t stride) {
    transpose(o, kQueries, size, queries, out, stride);
  }

  /// o = fma(p_j, v_j, o) in key order for kRows values of the head; `values` [keys][size].
  template <int kRows, bool kCausal>
  static void weigh_tile(const float* values, int64_t size, const float* powers, int64_t keys, int64_t ahead, float* o) {
    F32 acc[kRows][kVectors];
#pragma GCC unroll 16
    for (int r = 0; r < kRows; ++r) {
#pragma GCC unroll 4
      for (int v = 0; v < kVectors; ++v) acc[r][v] = F32::load(o + r * kQueries + v * F32::kLanes);
    }
    for (int64_t j = 0; j < keys; ++j) {
      F32 p[kVectors];
#pragma GCC unroll 4
      for (int v = 0; v < kVectors; ++v) p[v] = F32::load(powers + j * kQueries + v * F32::kLanes);
#pragma GCC unroll 16
      for (int r = 0; r < kRows; ++r) {
        const F32 value = F32::all(values[j * size + r]);
#pragma GCC unroll 4
        for (int v = 0; v < kVectors; ++v) {
          const F32 next = fma(p[v], value, acc[r][v]);
          acc[r][v] = kCausal ? from_lane(ahead + j - v * F32::kLanes, next, acc[r][v]) : next;
        }
      }
    }
#pragma GCC unroll 16
    for (int r = 0; r < kRows; ++r) {
#pragma GCC unroll 4
      for (int v = 0; v < kVectors; ++v) acc[r][v].store(o + r * kQueries + v * F32::kLanes);
    }
  }
};

template <typename How>
struct Softmax {
  F32 m[How::kVectors], l[How::kVectors];
};

template <typename How>
struct AttentionScratch {
  using T = typename How::Stored;
  // Blocks in work lie apart by no power of two: a load waits for an earlier store whose address has the same low 12 bits.
  static constexpr int64_t kBlock = kKeyBlock * How::kQueries + (How::kBlocksInWork > 1 ? 160 : 0);
  float* scores;  // [kKeyBlock][kQueries] for each of the blocks in work
  float* o;       // [size, to whole value_rows][kQueries]
  T* query;       // [stored size, and an even one][kQueries]
  T* powers;      // [kKeyBlock][kQueries] for each of the blocks in work
  AttentionScratch(void* memory, int64_t size) {
    scores = static_cast<float*>(memory);
    o = scores + How::kBlocksInWork * kBlock;
    query = reinterpret_cast<T*>(o + padded(size, How::kValueRows) * How::kQueries);
    powers = query + query_rows(size) * How::kQueries;
  }
  static int64_t query_rows(int64_t size) { return padded(How::stored(size), 2); }
  static int64_t bytes(int64_t size) {
    return (How::kBlocksInWork * kBlock + padded(size, How::kValueRows) * How::kQueries) * static_cast<int64_t>(sizeof(float)) +
           (How::kBlocksInWork * kBlock + query_rows(size) * How::kQueries) * static_cast<int64_t>(sizeof(T));
  }
};

/// The new maxima of a block's scores.
template <typename How, bool kCausal>
inline void raise_maxima(const float* scores, int64_t keys, int64_t ahead, F32* m) {
  F32 other[How::kVectors];  // of odd keys: two chains do not wait for each other, and a maximum has no order
#pragma GCC unroll 4
  for (int v = 0; v < How::kVectors; ++v) other[v] = m[v];
  const auto raise = [&](int64_t j, F32* to) __attribute__((always_inline)) {
#pragma GCC unroll 4
    for (int v = 0; v < How::kVectors; ++v) {
      const F32 higher = max(to[v], F32::load(scores + j * How::kQueries + v * F32::kLanes));
      to[v] = kCausal ? from_lane(ahead + j - v * F32::kLanes, higher, to[v]) : higher;
    }
  };
  int64_t j = 0;
  for (; j + 2 <= keys; j += 2) {
    raise(j, m);
    raise(j + 1, other);
  }
  if (j < keys) raise(j, m);
#pragma GCC unroll 4
  for (int v = 0; v < How::kVectors; ++v) m[v] = max(m[v], other[v]);
}

/// m', and l and o times alpha where it rose.
template <typename How, bool kCausal>
inline void rescale(const AttentionScratch<How>& scratch, int64_t size, int64_t keys, int64_t ahead, F32 factor, bool first_block,
                    Softmax<How>& state) {
  F32 before[How::kVectors], alpha[How::kVectors];
#pragma GCC unroll 4
  for (int v = 0; v < How::kVectors; ++v) before[v] = state.m[v];
  raise_maxima<How, kCausal>(scratch.scores, keys, ahead, state.m);
  bool moved = false;
#pragma GCC unroll 4
  for (int v = 0; v < How::kVectors; ++v) moved = moved || differ(before[v], state.m[v]);
  if (first_block || !moved) return;
#pragma GCC unroll 4
  for (int v = 0; v < How::kVectors; ++v) {
    // Where m stayed, the difference is ±0 and the power exactly 1.
    alpha[v] = How::power(before[v] * factor - state.m[v] * factor);
    state.l[v] = state.l[v] * alpha[v];
  }
  for (int64_t d = 0; d < size; ++d) {
#pragma GCC unroll 4
    for (int v = 0; v < How::kVectors; ++v) {
      float* o = scratch.o + d * How::kQueries + v * F32::kLanes;
      (F32::load(o) * alpha[v]).store(o);
    }
  }
}

/// Scores to powers, their sums to l, two keys at a time. A causal query sees the keys up to its own, `ahead` + j.
template <typename How, bool kCausal>
inline void raise_powers(const AttentionScratch<How>& scratch, int64_t keys, int64_t ahead, F32 factor, Softmax<How>& state) {
  F32 shift[How::kVectors];
#pragma GCC unroll 4
  for (int v = 0; v < How::kVectors; ++v) shift[v] = negate(state.m[v] * factor);
  const auto power = [&](int64_t j, int v) __attribute__((always_inline)) {
    const F32 p = How::power(fma(F32::load(scratch.scores + j * How::kQueries + v * F32::kLanes), factor, shift[v]));
    const F32 sum = state.l[v] + p;
    const int64_t lane = ahead + j - v * F32::kLanes;
    state.l[v] = kCausal ? from_lane(lane, sum, state.l[v]) : sum;
    return kCausal ? from_lane(lane, p, F32::zero()) : p;
  };
  int64_t j = 0;
  for (; j + 2 <= keys; j += 2) {
#pragma GCC unroll 4
    for (int v = 0; v < How::kVectors; ++v) {
      const F32 even = power(j, v), odd = power(j + 1, v);
      How::put_powers(scratch.powers, j, v, even, odd);
    }
  }
  if (j == keys) return;
  for (int v = 0; v < How::kVectors; ++v) How::put_powers(scratch.powers, j, v, power(j, v), F32::zero());
}

/// Queries to columns; no output yet. Lanes without a query, and what fills up its size, take part as zeros.
template <typename How>
void begin_queries(const AttentionBlock& b, int64_t first, int64_t queries, const AttentionScratch<How>& scratch) {
  using T = typename How::Stored;
  const int64_t stored = How::stored(b.size);
  if (queries < How::kQueries || stored != b.size) {
    for (int64_t i = 0; i < stored * How::kQueries; ++i) scratch.query[i] = T{};
  }
  How::pack_queries(static_cast<const T*>(b.q) + (first - b.first) * b.q_stride, b.q_stride, queries, b.size, scratch.query);
  for (int64_t i = 0; i < padded(b.size, How::kValueRows) * How::kQueries; ++i) scratch.o[i] = 0.0f;
}

/// o · (1/l), to rows.
template <typename How>
void end_queries(const AttentionBlock& b, int64_t first, int64_t queries, const AttentionScratch<How>& scratch, const F32* l) {
  F32 inverse[How::kVectors];
  for (int v = 0; v < How::kVectors; ++v) inverse[v] = F32::all(1.0f) / l[v];
  for (int64_t d = 0; d < b.size; ++d) {
    for (int v = 0; v < How::kVectors; ++v) {
      float* o = scratch.o + d * How::kQueries + v * F32::kLanes;
      (F32::load(o) * inverse[v]).store(o);
    }
  }
  auto* out = static_cast<typename How::Stored*>(b.out) + (first - b.first) * b.out_stride;
  How::unpack_outputs(scratch.o, queries, b.size, scratch.query, out, b.out_stride);
}

template <typename How, bool kCausal>
void attend(How& how, const AttentionBlock& b, int64_t first, int64_t queries, const AttentionScratch<How>& scratch) {
  using T = typename How::Stored;
  const int64_t stored = How::stored(b.size), value_rows = padded(b.size, How::kValueRows);
  begin_queries(b, first, queries, scratch);
  Softmax<How> state;
  for (int v = 0; v < How::kVectors; ++v) {
    state.m[v] = F32::all(-__builtin_inff());
    state.l[v] = F32::zero();
  }
  const int64_t last = kCausal && first + queries < b.keys ? first + queries : b.keys;
  for (int64_t key = 0; key < last; key += kKeyBlock) {
    const int64_t keys = last - key < kKeyBlock ? last - key : kKeyBlock;
    how.score(static_cast<const T*>(b.k) + key * stored, keys, scratch.query, b.size, scratch.scores);
    const int64_t ahead = key - first;
    rescale<How, kCausal>(scratch, b.size, keys, ahead, F32::all(b.c), key == 0, state);
    raise_powers<How, kCausal>(scratch, keys, ahead, F32::all(b.c), state);
    how.template weigh<kCausal>(static_cast<const T*>(b.v) + key * value_rows, b.size, scratch.powers, keys, ahead, scratch.o);
  }
  end_queries(b, first, queries, scratch, state.l);
}

template <typename How>
void attention(const AttentionBlock& b) {
  How how;
  const AttentionScratch<How> scratch(b.scratch, b.size);
  for (int64_t done = 0; done < b.queries; done += How::kQueries) {
    const int64_t queries = b.queries - done < How::kQueries ? b.queries - done : How::kQueries;
    if (b.causal) {
      attend<How, true>(how, b, b.first + done, queries, scratch);
    } else if constexpr (How::kBlocksInWork > 1) {
      attend_ahead(how, b, b.first + done, queries, scratch);
    } else {
      attend<How, false>(how, b, b.first + done, queries, scratch);
    }
  }
}

template <typename How>
int64_t attention_scratch(int64_t size) {
  return AttentionScratch<How>::bytes(size);
}

}  // namespace
}  // namespace sdgen::cpu
