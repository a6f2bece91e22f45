// The samplers' and guidance's vector formulas (docs/numerics.md, sections 4 and 6): a thread a value.
#include "backends/cuda/device_code.h"
#include "backends/cuda/vector/params.h"

using namespace sdgen;
using namespace sdgen::cuda;

SDGEN_KERNEL(vector_lincomb, vector::LincombParams, 256, 4) {
  const int64_t i = thread_of_grid();
  if (i >= p.count) return;
  float y = p.coefficients[0] * p.terms[0][i];
  for (int t = 1; t < p.term_count; ++t) y = math::fma(p.coefficients[t], p.terms[t][i], y);
  p.out[i] = y;
}

SDGEN_KERNEL(vector_guide, vector::GuideParams, 256, 4) {
  const int64_t i = thread_of_grid();
  if (i >= p.count) return;
  const float skip = p.c_skip * p.x[i], dc = math::fma(p.c_out, p.cond[i], skip);
  if (p.uncond == nullptr) {
    p.out[i] = dc;
    return;
  }
  const float du = math::fma(p.c_out, p.uncond[i], skip);
  p.out[i] = math::fma(p.cfg, dc - du, du);
}

SDGEN_KERNEL(vector_blend, vector::BlendParams, 256, 4) {
  const int64_t i = thread_of_grid();
  if (i < p.count) p.x[i] = math::fma(p.x[i], p.weight[i], p.kept[i]);
}

SDGEN_KERNEL(vector_find_non_finite, vector::FiniteParams, 256, 4) {
  const int64_t i = thread_of_grid();
  // Every thread that writes writes the same.
  if (i < p.count && (math::bits_of(p.x[i]) & 0x7fffffffu) >= 0x7f800000u) *p.found = 1;
}

SDGEN_KERNEL(vector_to_rgb8, vector::Rgb8Params, 256, 4) {
  const int64_t i = thread_of_grid();
  if (i >= p.count) return;
  float v = (p.x[i] + 1.0f) / 2.0f;
  v = v < 0.0f ? 0.0f : v;
  v = v > 1.0f ? 1.0f : v;
  p.out[i] = static_cast<uint8_t>(v * 255.0f);
}
