// Liu et al., Pseudo Numerical Methods for Diffusion Models on Manifolds: linear multistep of order 4, started by one
// improved Euler step.
#include <algorithm>

#include "sampling/sampler.h"

namespace sdgen {

void sample_plms(SamplerRun& run) {
  constexpr int kOrder = 4;
  constexpr double kWeights[kOrder][kOrder] = {  // Adams and Bashforth's, newest first
      {1.0, 0.0, 0.0, 0.0},
      {3.0 / 2, -1.0 / 2, 0.0, 0.0},
      {23.0 / 12, -16.0 / 12, 5.0 / 12, 0.0},
      {55.0 / 24, -59.0 / 24, 37.0 / 24, -9.0 / 24}};
  const Vec x2 = run.vectors.make(), e2 = run.vectors.make();
  Vec e[kOrder];  // the noise of step i is e[i mod 4]
  for (Vec& v : e) v = run.vectors.make();
  for (int i = 0; i < run.steps(); ++i) {
    const VpPoint from = run.trained.point(run.timestep(i)), to = run.trained.point(run.timestep(i + 1));
    const double keep = to.alpha / from.alpha, slope = to.sigma - to.alpha * from.sigma / from.alpha;
    run.predict(e[i % kOrder], run.x, run.timestep(i));
    std::vector<Term> terms{{keep, run.x}};
    if (i == 0) {
      run.vectors.lincomb(x2, {{keep, run.x}, {slope, e[0]}});
      run.predict(e2, x2, run.timestep(1));
      terms.insert(terms.end(), {{slope / 2, e[0]}, {slope / 2, e2}});
    } else {
      const int order = std::min(i + 1, kOrder);
      for (int j = 0; j < order; ++j) terms.push_back({slope * kWeights[order - 1][j], e[(i - j) % kOrder]});
    }
    run.vectors.lincomb(run.x, terms);
    run.done(i);
  }
}

}  // namespace sdgen
