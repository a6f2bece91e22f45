#pragma once
// The samplers' and guidance's vector formulas over plain memory.
#include <cstdint>
#include <span>

namespace sdgen::host {

void scale_into(float* out, float coefficient, const float* x, int64_t count);
void fma_into(float* out, float coefficient, const float* x, int64_t count);
/// uncond may be null: then out = Dc.
void guide_into(float* out, const float* x, const float* cond, const float* uncond, float c_skip, float c_out, float cfg, int64_t count);
/// x = fma(x, weight, kept).
void blend_into(float* x, const float* weight, const float* kept, int64_t count);
bool finite(const float* x, int64_t count);
void rgb8_into(const float* x, uint8_t* out, int64_t count);

}  // namespace sdgen::host
