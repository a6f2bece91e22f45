// Xu et al., Restart Sampling for Improving Generative Processes: Heun steps; where the next sigma is larger, noise
// lifts x there. Which sigmas are walked again is the plan's matter.
#include <cmath>

#include "sampling/sampler.h"

namespace sdgen {

void sample_restart(SamplerRun& run) {
  const Vec d = run.vectors.make(), x2 = run.vectors.make(), d2 = run.vectors.make();
  int rises = 0;
  for (int i = 0; i < run.steps(); ++i) rises += run.sigma(i + 1) > run.sigma(i) ? 1 : 0;
  const int steps = run.steps() - rises;
  int done = 0;
  for (int i = 0; i < run.steps(); ++i) {
    const double from = run.sigma(i), to = run.sigma(i + 1);
    if (to > from) {
      run.noise(d);
      run.vectors.lincomb(run.x, {{1, run.x}, {run.options.s_noise * std::sqrt(to * to - from * from), d}});
      continue;
    }
    run.denoise(d, run.x, from);
    if (to == 0) {
      run.vectors.lincomb(run.x, {{to / from, run.x}, {1 - to / from, d}});
    } else {
      run.vectors.lincomb(x2, {{to / from, run.x}, {1 - to / from, d}});
      run.denoise(d2, x2, to);
      const double a = (to - from) / (2 * from), b = (to - from) / (2 * to);
      run.vectors.lincomb(run.x, {{1 + a, run.x}, {-a, d}, {b, x2}, {-b, d2}});
    }
    run.report(++done, steps, from);
  }
}

}  // namespace sdgen
