#pragma once
#include "graph/shape.h"

namespace sdgen {

/// ids [N, T] (int32) -> token[id] + position[t], [N, T, width].
struct TokenEmbeddingOp {
  static constexpr const char* kName = "token_embedding";
  int64_t vocabulary = 0, positions = 0, width = 0;
};
inline Shape infer(const TokenEmbeddingOp& op, const Shape& ids) { return {ids[0], ids[1], op.width}; }

/// t [N] (may be fractional) -> [cos(t·f), sin(t·f)], [N, dim], f_i = exp(-ln(10000)·i/(dim/2)).
/// Source: Ho et al., Denoising Diffusion Probabilistic Models, with the order of the LDM code.
struct TimestepEmbeddingOp {
  static constexpr const char* kName = "timestep_embedding";
  int64_t dim = 0;
};
inline Shape infer(const TimestepEmbeddingOp& op, const Shape& t) { return {t[0], op.dim}; }

}  // namespace sdgen
