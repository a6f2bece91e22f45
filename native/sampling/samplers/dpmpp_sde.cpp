// Lu et al., DPM-Solver++, second-order singlestep on the diffusion SDE, r = 1/2 (k-diffusion, sample_dpmpp_sde).
#include <cmath>

#include "sampling/sampler.h"

namespace sdgen {

void sample_dpmpp_sde(SamplerRun& run) {
  const Vec d = run.vectors.make(), x2 = run.vectors.make(), noise = run.vectors.make();
  // `out` from x at `from`: down by the denoiser in d, and up to `to` by the noise of that interval.
  const auto step = [&](Vec out, double from, double to) {
    const AncestralStep s = ancestral_step(from, to, run.options.eta);
    run.brownian(noise, from, to);
    run.vectors.lincomb(out, {{s.down / from, run.x}, {1 - s.down / from, d}, {run.options.s_noise * s.up, noise}});
  };
  for (int i = 0; i < run.steps(); ++i) {
    const double from = run.sigma(i), to = run.sigma(i + 1);
    run.denoise(d, run.x, from);
    if (to == 0) {
      run.vectors.lincomb(run.x, {{to / from, run.x}, {1 - to / from, d}});
    } else {
      const double middle = std::sqrt(from * to);
      step(x2, from, middle);
      run.denoise(d, x2, middle);
      step(run.x, from, to);
    }
    run.done(i);
  }
}

}  // namespace sdgen
