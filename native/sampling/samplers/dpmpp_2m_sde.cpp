// Lu et al., DPM-Solver++, second-order multistep on the diffusion SDE (k-diffusion, sample_dpmpp_2m_sde).
#include <cmath>
#include <utility>

#include "base/math.h"
#include "sampling/sampler.h"

namespace sdgen {
namespace {

void sample(SamplerRun& run, bool heun) {
  Vec d = run.vectors.make(), previous = run.vectors.make();
  const Vec noise = run.vectors.make();
  const double eta = run.options.eta;
  double last_h = 0;
  for (int i = 0; i < run.steps(); ++i) {
    const double from = run.sigma(i), to = run.sigma(i + 1);
    run.denoise(d, run.x, from);
    if (to == 0) {
      run.vectors.lincomb(run.x, {{to / from, run.x}, {1 - to / from, d}});
    } else {
      const double h = math::log_f64(from / to), all = h + eta * h, weight = -math::expm1_f64(-all);
      double further = 0;  // of D - previous D
      if (last_h != 0) further = (heun ? 1 - weight / all : 0.5 * weight) * h / last_h;
      std::vector<Term> terms{{to / from * math::exp_f64(-eta * h), run.x}, {weight + further, d}};
      if (last_h != 0) terms.push_back({-further, previous});
      if (eta > 0) {
        run.brownian(noise, from, to);
        terms.push_back({run.options.s_noise * to * std::sqrt(-math::expm1_f64(-2 * eta * h)), noise});
      }
      run.vectors.lincomb(run.x, terms);
      last_h = h;
    }
    std::swap(d, previous);
    run.done(i);
  }
}

}  // namespace

void sample_dpmpp_2m_sde(SamplerRun& run) { sample(run, false); }
void sample_dpmpp_2m_sde_heun(SamplerRun& run) { sample(run, true); }

}  // namespace sdgen
