// Linear multistep of order 4: the Adams-Bashforth idea on the sigmas' uneven grid (k-diffusion, sample_lms).
#include <algorithm>
#include <cmath>

#include "sampling/sampler.h"

namespace sdgen {
namespace {

constexpr int kOrder = 4;

/// The integral from sigma(i) to sigma(i + 1) of the Lagrange polynomial that is 1 at sigma(i - j) and 0 at the other
/// order - 1 sigmas. Its degree is at most 3, so Gauss' rule of two points is exact.
double coefficient(const SamplerRun& run, int order, int i, int j) {
  const double centre = (run.sigma(i + 1) + run.sigma(i)) / 2, half = (run.sigma(i + 1) - run.sigma(i)) / 2;
  const double offset = half / std::sqrt(3.0);
  double first = 1, second = 1;
  for (int k = 0; k < order; ++k) {
    if (k == j) continue;
    const double node = run.sigma(i - k), width = run.sigma(i - j) - node;
    first *= (centre - offset - node) / width;
    second *= (centre + offset - node) / width;
  }
  return half * (first + second);
}

}  // namespace

void sample_lms(SamplerRun& run) {
  const Vec denoised = run.vectors.make();
  Vec d[kOrder];  // (x - D)/sigma of step i is d[i mod 4]
  for (Vec& v : d) v = run.vectors.make();
  for (int i = 0; i < run.steps(); ++i) {
    const double from = run.sigma(i);
    const int order = std::min(i + 1, kOrder);
    run.denoise(denoised, run.x, from);
    run.vectors.lincomb(d[i % kOrder], {{1 / from, run.x}, {-1 / from, denoised}});
    std::vector<Term> terms{{1, run.x}};
    for (int j = 0; j < order; ++j) terms.push_back({coefficient(run, order, i, j), d[(i - j) % kOrder]});
    run.vectors.lincomb(run.x, terms);
    run.done(i);
  }
}

}  // namespace sdgen
