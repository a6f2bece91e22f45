#pragma once
// The contract's matrix product over packed panels: the heart of linear and conv2d.
#include <cstdint>

#include "graph/ops/activation.h"

namespace sdgen::reference {

/// Outputs a panel holds: a packed weight is [ceil(N / kPanel)][K][kPanel], the last panel filled up with zeros.
inline constexpr int64_t kPanel = 16;
/// The contract's chunk of k.
inline constexpr int64_t kChunk = 320;
/// Rows that one task works on, and columns.
inline constexpr int64_t kRowBlock = 96;
inline constexpr int64_t kColumnBlock = 320;

inline int64_t panels(int64_t n) { return (n + kPanel - 1) / kPanel; }

/// Rows of the left operand that are summed over one stretch of k: `length` values from a[row * stride].
struct Stretch {
  const float* a;
  int64_t stride, rows, length;
  int64_t k_begin;  // where the stretch begins in the weight's k
};

/// The right operand and the columns [begin, end) to make; begin is a multiple of kPanel.
struct Columns {
  const float* packed;
  int64_t k, n, begin, end;
};

/// Where a chain of fma begins and what becomes of it.
enum class Start {
  kStore,     // from +0; y = chain
  kAdd,       // from +0; y = y + chain
  kContinue,  // from y;  y = chain
};
/// One fma chain over `k` values per output, in ascending order: `rows` rows of a (a[row * stride]) with one panel
/// [k][kPanel], into y[row * ldy + column].
void multiply_panel(const float* a, int64_t stride, int64_t rows, const float* panel, int64_t k, float* y, int64_t ldy, Start start);

/// Adds the stretch, in chunks of kChunk, to y[row * ldy + column - begin]; the very first chunk is stored instead.
/// y has room for whole panels.
void accumulate(const Stretch& stretch, const Columns& columns, float* y, int64_t ldy, bool first);

/// What follows a product, in this order; null or none: skipped.
struct Epilogue {
  const float* bias = nullptr;         // [N]
  const float* channel_add = nullptr;  // [N] of this row's image
  Activation activation = Activation::kNone;
  const float* residual = nullptr;     // row of [N]
};
/// Applies it to columns [begin, end) of one row: `totals` (from column begin) -> out (from column 0).
void finish_row(const float* totals, const Epilogue& epilogue, int64_t begin, int64_t end, float* out);

/// x -> activation(x), in place.
void activate(Activation kind, float* x, int64_t count);

}  // namespace sdgen::reference
