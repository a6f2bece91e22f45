#include "backends/host/vector_ops.h"

#include <cmath>
#include <cstring>

#include "backends/host/clones.h"

namespace sdgen::host {

SDGEN_CLONES void scale_into(float* out, float coefficient, const float* x, int64_t count) {
  for (int64_t i = 0; i < count; ++i) out[i] = coefficient * x[i];
}

SDGEN_CLONES void fma_into(float* out, float coefficient, const float* x, int64_t count) {
  for (int64_t i = 0; i < count; ++i) out[i] = std::fma(coefficient, x[i], out[i]);
}

SDGEN_CLONES void guide_into(float* out, const float* x, const float* cond, const float* uncond, float c_skip, float c_out, float cfg,
                             int64_t count) {
  if (uncond == nullptr) {
    for (int64_t i = 0; i < count; ++i) out[i] = std::fma(c_out, cond[i], c_skip * x[i]);
    return;
  }
  for (int64_t i = 0; i < count; ++i) {
    const float skip = c_skip * x[i];
    const float dc = std::fma(c_out, cond[i], skip), du = std::fma(c_out, uncond[i], skip);
    out[i] = std::fma(cfg, dc - du, du);
  }
}

SDGEN_CLONES void blend_into(float* x, const float* weight, const float* kept, int64_t count) {
  for (int64_t i = 0; i < count; ++i) x[i] = std::fma(x[i], weight[i], kept[i]);
}

bool finite(const float* x, int64_t count) {
  uint32_t worst = 0;
  for (int64_t i = 0; i < count; ++i) {
    uint32_t bits;
    std::memcpy(&bits, x + i, sizeof bits);
    bits &= 0x7fffffffU;
    worst = worst < bits ? bits : worst;
  }
  return worst < 0x7f800000U;
}

void rgb8_into(const float* x, uint8_t* out, int64_t count) {
  for (int64_t i = 0; i < count; ++i) {
    float v = (x[i] + 1.0f) / 2.0f;
    v = v < 0.0f ? 0.0f : v;
    v = v > 1.0f ? 1.0f : v;
    out[i] = static_cast<uint8_t>(v * 255.0f);
  }
}

}  // namespace sdgen::host
