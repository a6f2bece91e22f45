// Luo et al., Latent Consistency Models: one consistency step to x0, then fresh noise up to the next sigma. The model
// was distilled on 50 of the 1000 timesteps.
#include <cmath>

#include "base/math.h"
#include "sampling/sampler.h"

namespace sdgen {
namespace {

/// The distilled timestep (19, 39 … 999) whose sigma is nearest in log.
int nearest_distilled(const TrainedSigmas& trained, double sigma) {
  constexpr int kSkip = 20;
  const auto count = static_cast<int>(trained.values().size());
  int best = kSkip - 1;
  double nearest = -1;
  for (int t = kSkip - 1; t < count; t += kSkip) {
    const double ratio = math::log_f64(trained.values()[static_cast<size_t>(t)] / sigma), distance = ratio < 0 ? -ratio : ratio;
    if (nearest >= 0 && distance >= nearest) continue;
    nearest = distance;
    best = t;
  }
  return best;
}

}  // namespace

void sample_lcm(SamplerRun& run) {
  constexpr double kSigmaData = 0.5, kTimestepScale = 10;
  const Vec e = run.vectors.make(), scaled = run.vectors.make();
  for (int i = 0; i < run.steps(); ++i) {
    const double from = run.sigma(i), to = run.sigma(i + 1);
    const int t = nearest_distilled(run.trained, from);
    const double s = kTimestepScale * t, norm = s * s + kSigmaData * kSigmaData;
    const double skip = kSigmaData * kSigmaData / norm, out = s / std::sqrt(norm);
    run.vectors.lincomb(scaled, {{1 / std::sqrt(from * from + 1), run.x}});
    run.predict(e, scaled, t);
    // out·(x - from·e) + skip·x
    run.vectors.lincomb(run.x, {{out + skip, run.x}, {-out * from, e}});
    if (run.keep) run.keep(run.x);
    if (to > 0) {
      run.noise(e);
      run.vectors.lincomb(run.x, {{1, run.x}, {to, e}});
    }
    run.done(i);
  }
}

}  // namespace sdgen
