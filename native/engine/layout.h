#pragma once
// Latents cross the boundary as NCHW, as the field stores them; programs see NHWC.
#include <cstdint>

namespace sdgen {

inline void nchw_to_nhwc(const float* from, float* to, int64_t n, int64_t c, int64_t pixels) {
  for (int64_t i = 0; i < n; ++i) {
    for (int64_t p = 0; p < pixels; ++p) {
      for (int64_t k = 0; k < c; ++k) to[(i * pixels + p) * c + k] = from[(i * c + k) * pixels + p];
    }
  }
}

inline void nhwc_to_nchw(const float* from, float* to, int64_t n, int64_t c, int64_t pixels) {
  for (int64_t i = 0; i < n; ++i) {
    for (int64_t k = 0; k < c; ++k) {
      for (int64_t p = 0; p < pixels; ++p) to[(i * c + k) * pixels + p] = from[(i * pixels + p) * c + k];
    }
  }
}

}  // namespace sdgen
