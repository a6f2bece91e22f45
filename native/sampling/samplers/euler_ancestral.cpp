// Euler steps down to sigma_down, then fresh noise up to the next sigma (k-diffusion, sample_euler_ancestral).
#include "sampling/sampler.h"

namespace sdgen {

void sample_euler_ancestral(SamplerRun& run) {
  const Vec d = run.vectors.make(), noise = run.vectors.make();
  for (int i = 0; i < run.steps(); ++i) {
    const double from = run.sigma(i), to = run.sigma(i + 1);
    const AncestralStep step = ancestral_step(from, to, run.options.eta);
    run.denoise(d, run.x, from);
    if (to > 0) {
      run.noise(noise);
      run.vectors.lincomb(run.x, {{step.down / from, run.x}, {1 - step.down / from, d}, {run.options.s_noise * step.up, noise}});
    } else {
      run.vectors.lincomb(run.x, {{step.down / from, run.x}, {1 - step.down / from, d}});
    }
    run.done(i);
  }
}

}  // namespace sdgen
