#pragma once
// Products of bf16 pairs with float32 sums (vdpbf16ps). Included by the one level that has it, after attention.h.
#include <immintrin.h>

#include <cstdint>

#include "backends/cpu/kernels/attention.h"

namespace sdgen::cpu {
namespace {

/// Two neighbours in memory as one 32-bit element of every lane.
inline __m512bh pair_of(const Bf16* p) {
  int32_t bits;
  __builtin_memcpy(&bits, p, sizeof bits);
  return (__m512bh)_mm512_set1_epi32(bits);
}
/// The last value of an odd number: its partner is zero, whatever follows it in memory.
inline __m512bh last_of(const Bf16* p) { return (__m512bh)_mm512_set1_epi32(p->bits); }
inline __m512bh pairs(const Bf16* p) { return (__m512bh)_mm512_loadu_si512(p); }

template <>
struct Dot<Bf16> {
  static constexpr int64_t kChunkLength = 2 * kChunk;
  static constexpr int kStep = 2;
  static int64_t stored(int64_t length) { return (length + 1) / 2 * 2; }

  template <int kRows, int kVectors>
  static void tile(const Bf16* a, int64_t stride, const Bf16* w, int64_t k, float* y, int64_t ldy, Start start) {
    F32 acc[kRows][kVectors];
#pragma GCC unroll 16
    for (int r = 0; r < kRows; ++r) {
#pragma GCC unroll 4
      for (int v = 0; v < kVectors; ++v) acc[r][v] = F32::zero();
    }
    const auto step = [&](int64_t i, auto load) __attribute__((always_inline)) {
      __m512bh b[kVectors];
#pragma GCC unroll 4
      for (int v = 0; v < kVectors; ++v) b[v] = pairs(w + v * 32);
#pragma GCC unroll 16
      for (int r = 0; r < kRows; ++r) {
        const __m512bh value = load(a + r * stride + i);
#pragma GCC unroll 4
        for (int v = 0; v < kVectors; ++v) acc[r][v].v = _mm512_dpbf16_ps(acc[r][v].v, value, b[v]);
      }
      w += kVectors * 32;
    };
    int64_t i = 0;
    for (; i + 2 <= k; i += 2) step(i, [](const Bf16* p) { return pair_of(p); });
    if (i < k) step(i, [](const Bf16* p) { return last_of(p); });
#pragma GCC unroll 16
    for (int r = 0; r < kRows; ++r) {
#pragma GCC unroll 4
      for (int v = 0; v < kVectors; ++v) {
        float* total = y + r * ldy + v * F32::kLanes;
        (start == Start::kAdd ? F32::load(total) + acc[r][v] : acc[r][v]).store(total);
      }
    }
  }
};

/// 2^x to 2^-18 of its value, which bf16 cannot tell from exact; exactly 1 at 0.
inline F32 power_of_two(F32 x) {
  const F32 r{_mm512_reduce_ps(x.v, _MM_FROUND_TO_NEG_INF)};  // x − floor(x)
  F32 p = F32::all(0x1.b7f732p-7f);
  p = fma(p, r, F32::all(0x1.abf868p-5f));
  p = fma(p, r, F32::all(0x1.ee2450p-3f));
  p = fma(p, r, F32::all(0x1.62d6c6p-1f));
  p = fma(p, r, F32::all(1.0f));
  return {_mm512_scalef_ps(p.v, x.v)};
}

/// To 2^-13 of the result, where bf16 keeps 2^-8; GELU's smallest ones, below x = -3, to 1.1e-5.
template <>
struct Activations<Bf16> {
  template <int kWidth>
  static void silu(float* y) {
    each<kWidth>(y, [](F32 x) { return sigmoid_of(x, 0x1.715476p+0f); });
  }
  template <int kWidth>
  static void quick_gelu(float* y) {
    each<kWidth>(y, [](F32 x) { return sigmoid_of(x, 0x1.3a4cbep+1f); });
  }
  /// max(x, 0) − |x|·Φ(−|x|); the logarithm of the normal distribution's tail is a polynomial of the fifth degree, fitted for
  /// the least largest error on [0, 8].
  template <int kWidth>
  static void gelu(float* y) {
    each<kWidth>(y, [](F32 x) {
      const F32 a = max(x, negate(x));
      F32 p = F32::all(-0x1.53ab3ep-12f);
      p = fma(p, a, F32::all(0x1.829c98p-8f));
      p = fma(p, a, F32::all(-0x1.8de9ecp-5f));
      p = fma(p, a, F32::all(-0x1.dab4e2p-2f));
      p = fma(p, a, F32::all(-0x1.264222p+0f));
      p = fma(p, a, F32::all(-0x1.0006c8p+0f));
      return fma(negate(a), power_of_two(p), max(x, F32::zero()));
    });
  }

 private:
  template <int kWidth, typename Of>
  static void each(float* y, Of of) {
#pragma GCC unroll 4
    for (int c = 0; c < kWidth; c += F32::kLanes) of(F32::load(y + c)).store(y + c);
  }
  /// x / (1 + 2^(−factor·x)).
  static F32 sigmoid_of(F32 x, float factor) { return x / (F32::all(1.0f) + power_of_two(x * F32::all(-factor))); }
};

template <typename Out>
using Bf16Product = VectorProduct<Bf16, Out>;

/// bf16's operands of attention for `kVectorCount` vectors of queries.
template <int kVectorCount>
struct PairedAttention {
  using Stored = Bf16;
  static constexpr int64_t kQueries = kVectorCount * F32::kLanes;

  static F32 power(F32 x) { return power_of_two(x); }
  static void put_powers(Bf16* powers, int64_t j, int v, F32 even, F32 odd) {
    _mm512_storeu_si512(powers + j * kQueries + v * 32, interleaved(even, odd));
  }
  /// Rows of q to columns, two values at a time: [size/2][kQueries][2]; an odd last value's partner is zero.
  static void pack_queries(const Bf16* q, int64_t stride, int64_t queries, int64_t size, Bf16* packed) {
    for (int64_t d = 0; d + 2 <= size; d += 2) {
      for (int64_t lane = 0; lane < queries; ++lane) __builtin_memcpy(packed + d * kQueries + 2 * lane, q + lane * stride + d, 4);
    }
    if (size % 2 == 0) return;
    Bf16* last = packed + (size - 1) * kQueries;
    for (int64_t lane = 0; lane < queries; ++lane) {
      last[2 * lane] = q[lane * stride + size - 1];
      last[2 * lane + 1] = Bf16{0};
    }
  }
  /// Columns of o to rows, by way of `pairs` [size/2][kQueries][2].
  static void unpack_outputs(const float* o, int64_t queries, int64_t size, Bf16* pairs, Bf16* out, int64_t stride) {
    for (int64_t d = 0; d < size; d += 2) {
      for (int v = 0; v < kVectorCount; ++v) {
        const float* even = o + d * kQueries + v * F32::kLanes;
        const F32 odd = d + 1 < size ? F32::load(even + kQueries) : F32::zero();
        _mm512_storeu_si512(pairs + d * kQueries + v * 32, interleaved(F32::load(even), odd));
      }
    }
    for (int64_t lane = 0; lane < queries; ++lane) {
      const Bf16* from = pairs + 2 * lane;
      int64_t d = 0;
      for (; d + 2 <= size; d += 2) __builtin_memcpy(out + lane * stride + d, from + d * kQueries, 4);
      if (d < size) out[lane * stride + d] = from[d * kQueries];
    }
  }

 private:
  /// Rounded to bf16 as [a0, b0, a1, b1, …].
  static __m512i interleaved(F32 a, F32 b) {
    const auto both = (__m512i)_mm512_cvtne2ps_pbh(b.v, a.v);  // a's lanes, then b's
    const __m512i order = _mm512_set_epi16(31, 15, 30, 14, 29, 13, 28, 12, 27, 11, 26, 10, 25, 9, 24, 8, 23, 7, 22, 6, 21, 5, 20, 4,
                                           19, 3, 18, 2, 17, 1, 16, 0);
    return _mm512_permutexvar_epi16(order, both);
  }
};

struct Bf16Attention : VectorAttention<Bf16Attention, kMaxVectors>, PairedAttention<kMaxVectors> {
  using VectorAttention::kQueries;
  static constexpr int64_t kValueStep = 2;  // two keys side by side
  static constexpr int kValueKeys = 2, kValueRows = 1, kBlocksInWork = 1;
  static int64_t stored(int64_t size) { return Dot<Bf16>::stored(size); }

  template <int kRows, bool kCausal>
  static void weigh_tile(const Bf16* values, int64_t size, const Bf16* powers, int64_t keys, int64_t, float* o) {
    F32 acc[kRows][kVectors];
#pragma GCC unroll 16
    for (int r = 0; r < kRows; ++r) {
#pragma GCC unroll 4
      for (int v = 0; v < kVectors; ++v) acc[r][v] = F32::load(o + r * kQueries + v * F32::kLanes);
    }
    for (int64_t j = 0; j < keys; j += 2) {
      __m512bh p[kVectors];
#pragma GCC unroll 4
      for (int v = 0; v < kVectors; ++v) p[v] = pairs(powers + j * kQueries + v * 32);
#pragma GCC unroll 16
      for (int r = 0; r < kRows; ++r) {
        const __m512bh value = pair_of(values + j * size + 2 * r);
#pragma GCC unroll 4
        for (int v = 0; v < kVectors; ++v) acc[r][v].v = _mm512_dpbf16_ps(acc[r][v].v, value, p[v]);
      }
    }
#pragma GCC unroll 16
    for (int r = 0; r < kRows; ++r) {
#pragma GCC unroll 4
      for (int v = 0; v < kVectors; ++v) acc[r][v].store(o + r * kQueries + v * F32::kLanes);
    }
  }
};

}  // namespace
}  // namespace sdgen::cpu
