// Lu et al., DPM-Solver++: Fast Solver for Guided Sampling of Diffusion Probabilistic Models, second-order multistep.
#include <utility>

#include "base/math.h"
#include "sampling/sampler.h"

namespace sdgen {

void sample_dpmpp_2m(SamplerRun& run) {
  Vec d = run.vectors.make(), previous = run.vectors.make();
  double last_h = 0;
  for (int i = 0; i < run.steps(); ++i) {
    const double from = run.sigma(i), to = run.sigma(i + 1);
    run.denoise(d, run.x, from);
    const double weight = 1 - to / from;  // 1 - e^-h, h = ln(from/to)
    if (last_h == 0 || to == 0) {
      run.vectors.lincomb(run.x, {{to / from, run.x}, {weight, d}});
    } else {
      const double h = math::log_f64(from / to), ratio = h / (2 * last_h);  // 1/(2r), r = last_h/h
      run.vectors.lincomb(run.x, {{to / from, run.x}, {weight * (1 + ratio), d}, {-weight * ratio, previous}});
    }
    if (to > 0) last_h = math::log_f64(from / to);
    std::swap(d, previous);
    run.done(i);
  }
}

}  // namespace sdgen
