// Lu et al., DPM-Solver++, second-order singlestep, with ancestral noise (k-diffusion, sample_dpmpp_2s_ancestral).
#include <cmath>

#include "sampling/sampler.h"

namespace sdgen {

void sample_dpmpp_2s_ancestral(SamplerRun& run) {
  const Vec d = run.vectors.make(), x2 = run.vectors.make();
  for (int i = 0; i < run.steps(); ++i) {
    const double from = run.sigma(i);
    const AncestralStep step = ancestral_step(from, run.sigma(i + 1), run.options.eta);
    run.denoise(d, run.x, from);
    if (step.down > 0) {
      const double middle = std::sqrt(from * step.down);
      run.vectors.lincomb(x2, {{middle / from, run.x}, {1 - middle / from, d}});
      run.denoise(d, x2, middle);
    }
    run.vectors.lincomb(run.x, {{step.down / from, run.x}, {1 - step.down / from, d}});
    if (run.sigma(i + 1) > 0) {
      run.noise(d);
      run.vectors.lincomb(run.x, {{1, run.x}, {run.options.s_noise * step.up, d}});
    }
    run.done(i);
  }
}

}  // namespace sdgen
