#pragma once
// How the weights of products lie in memory. The outputs are cut into panels of 1 … max_vectors vectors; a panel holds,
// k ascending, its outputs' weights side by side: [k][width] in float32, [k/2][width][2] in bf16, whose stretches are
// filled up to a multiple of the kernels' k_step. What lies beyond the last output is zero. Many outputs are cut into two halves first, so
// that the two factors of a GEGLU come from panels of the same shape.
#include <cstdint>

namespace sdgen::cpu {

/// Vectors of the panel that begins where `left` vectors of its half are left: wide ones, and never a single last one
/// that two panels of two can avoid.
inline int64_t panel_vectors(int64_t left, int max_vectors) {
  if (left <= max_vectors) return left;
  return max_vectors > 2 && left == max_vectors + 1 ? max_vectors - 1 : max_vectors;
}

/// Outputs of the first half: n / 2 if both halves are long and fill whole vectors, else n.
inline int64_t first_half(int64_t n, int lanes) { return n >= 8 * lanes && n % (2 * lanes) == 0 ? n / 2 : n; }

/// Whether a product of `n` outputs can be followed by GEGLU in one step.
inline bool geglu_splits(int64_t n, int lanes) { return first_half(n, lanes) == n / 2; }

inline int64_t padded(int64_t n, int lanes) { return (n + lanes - 1) / lanes * lanes; }

}  // namespace sdgen::cpu
