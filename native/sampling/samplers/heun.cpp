// Karras et al., Elucidating the Design Space of Diffusion-Based Generative Models, Algorithm 2 (Heun steps).
#include "sampling/sampler.h"

namespace sdgen {

void sample_heun(SamplerRun& run) {
  const Vec d = run.vectors.make(), x2 = run.vectors.make(), d2 = run.vectors.make();
  for (int i = 0; i < run.steps(); ++i) {
    const double from = churn(run, i, d), to = run.sigma(i + 1);
    run.denoise(d, run.x, from);
    if (to == 0) {
      run.vectors.lincomb(run.x, {{to / from, run.x}, {1 - to / from, d}});
    } else {
      run.vectors.lincomb(x2, {{to / from, run.x}, {1 - to / from, d}});
      run.denoise(d2, x2, to);
      // x + (to - from)·((x - D)/from + (x2 - D2)/to)/2
      const double a = (to - from) / (2 * from), b = (to - from) / (2 * to);
      run.vectors.lincomb(run.x, {{1 + a, run.x}, {-a, d}, {b, x2}, {-b, d2}});
    }
    run.done(i);
  }
}

}  // namespace sdgen
