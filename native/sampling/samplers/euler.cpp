// Karras et al., Elucidating the Design Space of Diffusion-Based Generative Models, Algorithm 2 without its correction.
#include "sampling/sampler.h"

namespace sdgen {

void sample_euler(SamplerRun& run) {
  const Vec d = run.vectors.make();
  for (int i = 0; i < run.steps(); ++i) {
    const double from = churn(run, i, d), to = run.sigma(i + 1);
    run.denoise(d, run.x, from);
    // x + (x - D)/from · (to - from)
    run.vectors.lincomb(run.x, {{to / from, run.x}, {1 - to / from, d}});
    run.done(i);
  }
}

}  // namespace sdgen
