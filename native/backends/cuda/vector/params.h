#pragma once
// Arguments of the samplers' and guidance's vector ops; float32 in every precision.
#include "backends/cuda/device.h"

namespace sdgen::cuda::vector {

inline constexpr unsigned kThreads = 256;
inline constexpr int kMostTerms = 16;

/// out = c0·v0, then fma(ci, vi, out). `out` may be any of the vectors.
struct LincombParams {
  float* out;
  const float* terms[kMostTerms];
  float coefficients[kMostTerms];
  int64_t count;
  int32_t term_count;
};
inline constexpr Kernel<LincombParams> kLincomb{"vector_lincomb", kThreads};

struct GuideParams {
  float* out;
  const float* x;
  const float* cond;
  const float* uncond;  // or null
  int64_t count;
  float c_skip, c_out, cfg;
};
inline constexpr Kernel<GuideParams> kGuide{"vector_guide", kThreads};

/// x = fma(x, weight, kept).
struct BlendParams {
  float* x;
  const float* weight;
  const float* kept;
  int64_t count;
};
inline constexpr Kernel<BlendParams> kBlend{"vector_blend", kThreads};

/// *found becomes 1 where a value is NaN or infinite.
struct FiniteParams {
  const float* x;
  int32_t* found;
  int64_t count;
};
inline constexpr Kernel<FiniteParams> kFindNonFinite{"vector_find_non_finite", kThreads};

struct Rgb8Params {
  const float* x;
  uint8_t* out;
  int64_t count;
};
inline constexpr Kernel<Rgb8Params> kRgb8{"vector_to_rgb8", kThreads};

}  // namespace sdgen::cuda::vector
