#pragma once
// Attention of bf16 whose products are tiles'. Included by the one level that has them, after tiles.h.
#include <cstdint>

#include "backends/cpu/kernels/tiles.h"

namespace sdgen::cpu {
namespace {

/// Two products: keys by queries, and values (a group of keys side by side) by powers.
struct TileAttention : PairedAttention<2> {
  static constexpr int kVectors = 2;
  static constexpr int kValueKeys = kKeyBlock, kValueRows = kTileRows, kBlocksInWork = 2;
  static constexpr int64_t kPieceRows = 2 * kTileRows;  // of a product done in one go
  static int64_t stored(int64_t size) { return padded(size, kTileK); }

  TileAttention() { shapes_.set(kTileRows, kTileRows); }

  /// Scores of `kPieceRows` keys.
  template <typename Between>
  static SDGEN_INLINE void score_piece(const Bf16* k, const Bf16* query, int64_t length, float* scores, Between&& between) {
    using Sums = TileSums<2, true>;
    Sums::clear();
    Sums::add({k, k + kTileRows * length, kTileRows, kTileRows, length}, query, length, between);
    Sums::store(scores, scores + kTileRows * kQueries, kQueries, between);
  }
  /// All keys of the block, those that fill it up included: their scores are not read.
  void score(const Bf16* k, int64_t, const Bf16* query, int64_t size, float* scores) {
    const int64_t length = stored(size);
    for (int64_t j = 0; j < kKeyBlock; j += kPieceRows) score_piece(k + j * length, query, length, scores + j * kQueries, Nothing{});
  }
  /// o += powers · values for kPieceRows values of the head from `d` on.
  template <typename Between>
  static SDGEN_INLINE void weigh_piece(const Bf16* values, int64_t size, int64_t d, const Bf16* powers, float* o, Between&& between) {
    d + kTileRows < size ? weigh_rows<true>(values + d * kKeyBlock, powers, o + d * kQueries, between)
                         : weigh_rows<false>(values + d * kKeyBlock, powers, o + d * kQueries, between);
  }
  template <bool kCausal>
  void weigh(const Bf16* values, int64_t size, Bf16* powers, int64_t keys, int64_t, float* o) {
    fill_up(powers, keys);
    for (int64_t d = 0; d < size; d += kPieceRows) weigh_piece(values, size, d, powers, o, Nothing{});
  }
  /// Keys that fill up the block weigh nothing.
  static void fill_up(Bf16* powers, int64_t keys) {
    const int64_t from = padded(keys, 2);
    __builtin_memset(powers + from * kQueries, 0, static_cast<size_t>((kKeyBlock - from) * kQueries) * sizeof(Bf16));
  }
  /// How often the pieces of a block call what is between.
  static int64_t score_gaps(int64_t size) {
    using Sums = TileSums<2, true>;
    return kKeyBlock / kPieceRows * (stored(size) / kTileK * Sums::kStepGaps + Sums::kMoveGaps);
  }
  static int64_t weigh_gaps(int64_t size) {
    const int64_t rows = (size + kTileRows - 1) / kTileRows;
    return rows / 2 * weigh_rows_gaps<true>() + rows % 2 * weigh_rows_gaps<false>();
  }

  /// 2^x to 2^-13 of its value.
  static F32 rough_power(F32 x) {
    const F32 r{_mm512_reduce_ps(x.v, _MM_FROUND_TO_NEG_INF)};  // x − floor(x)
    F32 p = F32::all(0x1.4095eap-4f);
    p = fma(p, r, F32::all(0x1.cf7a66p-3f));
    p = fma(p, r, F32::all(0x1.640eaap-1f));
    p = fma(p, r, F32::all(1.0f));
    return {_mm512_scalef_ps(p.v, x.v)};
  }

 private:
  template <bool kLower, typename Between>
  static SDGEN_INLINE void weigh_rows(const Bf16* rows, const Bf16* powers, float* o, Between&& between) {
    using Sums = TileSums<2, kLower>;
    float* lower = o + kTileRows * kQueries;
    Sums::load(o, lower, kQueries, between);
    Sums::add({rows, kLower ? rows + kTileRows * kKeyBlock : rows, kTileRows, kLower ? kTileRows : 0, kKeyBlock}, powers, kKeyBlock, between);
    Sums::store(o, lower, kQueries, between);
  }
  template <bool kLower>
  static constexpr int64_t weigh_rows_gaps() {
    using Sums = TileSums<2, kLower>;
    return kKeyBlock / kTileK * Sums::kStepGaps + 2 * Sums::kMoveGaps;
  }

  TileShapes shapes_;
};

/// Scores of a block of keys to powers of (score − reference)·factor, and their sums, in units of two keys for one vector of
/// queries.
struct PowerUnits {
  static constexpr int64_t kQueries = TileAttention::kQueries, kAll = kKeyBlock;
  const float* scores;
  Bf16* powers;
  F32 factor, shift[2];

  SDGEN_INLINE F32 power(int64_t j, int v) const {
    return TileAttention::rough_power(fma(F32::load(scores + j * kQueries + v * F32::kLanes), factor, shift[v]));
  }
  /// Keys `j` and j + 1 for both vectors; `l` are the sums.
  SDGEN_INLINE void raise(int64_t j, F32* l) const {
#pragma GCC unroll 2
    for (int v = 0; v < 2; ++v) {
      const F32 even = power(j, v), odd = power(j + 1, v);
      l[v] = (l[v] + even) + odd;
      TileAttention::put_powers(powers, j, v, even, odd);
    }
  }
  void raise_last(int64_t keys, F32* l) const {
    for (int64_t j = 0; j + 2 <= keys; j += 2) raise(j, l);
    if (keys % 2 == 1) {
      for (int v = 0; v < 2; ++v) {
        const F32 last = power(keys - 1, v);
        l[v] = l[v] + last;
        TileAttention::put_powers(powers, keys - 1, v, last, F32::zero());
      }
    }
    TileAttention::fill_up(powers, keys);
  }
};

/// Queries of one head in work.
struct TileRun {
  static constexpr int64_t kQueries = TileAttention::kQueries, kPieceRows = TileAttention::kPieceRows;
  // Powers up to 2^8 are as good as those up to 1: a higher score moves the reference only when it is above by more.
  static constexpr float kHeadroom = 8;
  const AttentionBlock& b;
  const AttentionScratch<TileAttention>& scratch;

  float* scores(int64_t block) const { return scratch.scores + (block & 1) * scratch.kBlock; }
  Bf16* powers(int64_t block) const { return scratch.powers + (block & 1) * scratch.kBlock; }
  int64_t keys(int64_t block) const { return block * kKeyBlock + kKeyBlock < b.keys ? kKeyBlock : b.keys - block * kKeyBlock; }

  template <typename Between>
  SDGEN_INLINE void score(int64_t block, Between&& between) const {
    const int64_t length = TileAttention::stored(b.size);
    const Bf16* k = static_cast<const Bf16*>(b.k) + block * kKeyBlock * length;
    for (int64_t j = 0; j < kKeyBlock; j += kPieceRows) {
      TileAttention::score_piece(k + j * length, scratch.query, length, scores(block) + j * kQueries, between);
    }
  }
  template <typename Between>
  SDGEN_INLINE void weigh(int64_t block, Between&& between) const {
    const Bf16* values = static_cast<const Bf16*>(b.v) + block * kKeyBlock * padded(b.size, TileAttention::kValueRows);
    for (int64_t d = 0; d < b.size; d += kPieceRows) TileAttention::weigh_piece(values, b.size, d, powers(block), scratch.o, between);
  }
  /// Whether the block's scores ask for a new reference, and the highest of them.
  bool too_high(int64_t block, const F32* reference, F32* highest) const {
    const F32 headroom = F32::all(kHeadroom), factor = F32::all(b.c);
    for (int v = 0; v < 2; ++v) highest[v] = F32::all(-__builtin_inff());
    raise_maxima<TileAttention, false>(scores(block), keys(block), 0, highest);
    return (_mm512_cmp_ps_mask(((highest[0] - reference[0]) * factor).v, headroom.v, _CMP_GT_OQ) |
            _mm512_cmp_ps_mask(((highest[1] - reference[1]) * factor).v, headroom.v, _CMP_GT_OQ)) != 0;
  }
  void move_reference(const F32* highest, F32* reference, F32* l) const {
    F32 alpha[2];
    for (int v = 0; v < 2; ++v) {
      const F32 next = max(reference[v], highest[v]);
      alpha[v] = TileAttention::power((reference[v] - next) * F32::all(b.c));
      l[v] = l[v] * alpha[v];
      reference[v] = next;
    }
    for (int64_t d = 0; d < b.size; ++d) {
      for (int v = 0; v < 2; ++v) {
        float* o = scratch.o + d * kQueries + v * F32::kLanes;
        (F32::load(o) * alpha[v]).store(o);
      }
    }
  }
};

/// While vectors raise the powers of one block of keys, tiles score the next and weigh the one before: the units of the
/// former lie evenly between the instructions of the latter.
inline void attend_ahead(TileAttention&, const AttentionBlock& b, int64_t first, int64_t queries,
                         const AttentionScratch<TileAttention>& scratch) {
  begin_queries(b, first, queries, scratch);
  const TileRun run{b, scratch};
  F32 reference[2], l[2] = {F32::zero(), F32::zero()};
  const int64_t blocks = (b.keys + kKeyBlock - 1) / kKeyBlock;
  run.score(0, Nothing{});
  for (int64_t block = 0; block < blocks; ++block) {
    const bool ahead = block + 1 < blocks;
    bool behind = block > 0;
    F32 highest[2];
    if (block == 0) {
      run.too_high(block, reference, reference);
    } else if (run.too_high(block, reference, highest)) {
      run.weigh(block - 1, Nothing{});
      behind = false;
      run.move_reference(highest, reference, l);
    }
    const F32 factor = F32::all(b.c);
    const PowerUnits units{run.scores(block), run.powers(block), factor, {negate(reference[0] * factor), negate(reference[1] * factor)}};
    if (!ahead) {
      if (behind) run.weigh(block - 1, Nothing{});
      units.raise_last(run.keys(block), l);
      run.weigh(block, Nothing{});
      break;
    }
    const int64_t gaps = TileAttention::score_gaps(b.size) + (behind ? TileAttention::weigh_gaps(b.size) : 0);
    const int64_t pace = (kKeyBlock << 16) / gaps;  // keys a gap, in 2^-16
    int64_t due = 0, j = 0;
    const auto between = [&]() __attribute__((always_inline)) {
      for (due += pace; j < due >> 16; j += 2) units.raise(j, l);
    };
    run.score(block + 1, between);
    if (behind) run.weigh(block - 1, between);
    for (; j < kKeyBlock; j += 2) units.raise(j, l);
  }
  end_queries(b, first, queries, scratch, l);
}

}  // namespace
}  // namespace sdgen::cpu
