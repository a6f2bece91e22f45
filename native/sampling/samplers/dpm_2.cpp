// Karras et al., Elucidating the Design Space of Diffusion-Based Generative Models, Algorithm 2 with the second
// evaluation half-way in log sigma, as in DPM-Solver-2 (Lu et al.); k-diffusion, sample_dpm_2.
#include <cmath>

#include "sampling/sampler.h"

namespace sdgen {

void sample_dpm_2(SamplerRun& run) {
  const Vec d = run.vectors.make(), x2 = run.vectors.make();
  for (int i = 0; i < run.steps(); ++i) {
    const double from = churn(run, i, d), to = run.sigma(i + 1);
    run.denoise(d, run.x, from);
    if (to == 0) {
      run.vectors.lincomb(run.x, {{to / from, run.x}, {1 - to / from, d}});
    } else {
      const double middle = std::sqrt(from * to), slope = (to - from) / middle;
      run.vectors.lincomb(x2, {{middle / from, run.x}, {1 - middle / from, d}});
      run.denoise(d, x2, middle);
      // x + (x2 - D2)/middle · (to - from)
      run.vectors.lincomb(run.x, {{1, run.x}, {slope, x2}, {-slope, d}});
    }
    run.done(i);
  }
}

}  // namespace sdgen
