// Song et al., Denoising Diffusion Implicit Models, on the variance-preserving process; and Chung et al., CFG++:
// Manifold-constrained Classifier Free Guidance, which walks on along the unconditional noise.
#include <cmath>

#include "sampling/sampler.h"

namespace sdgen {
namespace {

void sample(SamplerRun& run, bool along_uncond) {
  const Vec e = run.vectors.make(), other = run.vectors.make();
  for (int i = 0; i < run.steps(); ++i) {
    const VpPoint from = run.trained.point(run.timestep(i)), to = run.trained.point(run.timestep(i + 1));
    const double ratio = from.alpha / to.alpha;
    // eta·√((1 - ā')/(1 - ā)·(1 - ā/ā'))
    const double random = run.options.eta * (to.sigma / from.sigma) * std::sqrt(1 - ratio * ratio);
    const double ahead = std::sqrt(to.sigma * to.sigma - random * random), back = to.alpha * from.sigma / from.alpha;
    run.predict(e, run.x, run.timestep(i));
    std::vector<Term> terms{{to.alpha / from.alpha, run.x}};
    if (along_uncond) {
      run.uncond(other);
      terms.insert(terms.end(), {{-back, e}, {ahead, other}});
    } else {
      terms.push_back({ahead - back, e});
    }
    run.vectors.lincomb(run.x, terms);
    if (random > 0) {
      run.noise(other);
      run.vectors.lincomb(run.x, {{1, run.x}, {random, other}});
    }
    run.done(i);
  }
}

}  // namespace

void sample_ddim(SamplerRun& run) { sample(run, false); }
void sample_ddim_cfgpp(SamplerRun& run) { sample(run, true); }

}  // namespace sdgen
