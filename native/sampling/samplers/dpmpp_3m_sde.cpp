// DPM-Solver++ (Lu et al.), third-order multistep on the diffusion SDE (k-diffusion, sample_dpmpp_3m_sde).
#include <cmath>

#include "base/math.h"
#include "sampling/sampler.h"

namespace sdgen {

void sample_dpmpp_3m_sde(SamplerRun& run) {
  Vec d = run.vectors.make(), d1 = run.vectors.make(), d2 = run.vectors.make();  // D of this step and of two before
  const Vec noise = run.vectors.make();
  const double eta = run.options.eta;
  double h1 = 0, h2 = 0;
  for (int i = 0; i < run.steps(); ++i) {
    const double from = run.sigma(i), to = run.sigma(i + 1);
    run.denoise(d, run.x, from);
    if (to == 0) {
      run.vectors.lincomb(run.x, {{to / from, run.x}, {1 - to / from, d}});
    } else {
      const double h = math::log_f64(from / to), all = h * (eta + 1), weight = -math::expm1_f64(-all);
      const double phi2 = 1 - weight / all, phi3 = phi2 / all - 0.5;
      // x + phi2·a - phi3·b, where a and b are divided differences of D: first - second and second - third by u and v.
      double u = 0, v = 0;
      if (h2 != 0) {
        const double r0 = h1 / h, r1 = h2 / h, curve = (phi2 * r0 - phi3) / (r0 + r1);
        u = (phi2 + curve) / r0;
        v = -curve / r1;
      } else if (h1 != 0) {
        u = phi2 * h / h1;
      }
      std::vector<Term> terms{{math::exp_f64(-all), run.x}, {weight + u, d}};
      if (h1 != 0) terms.push_back({v - u, d1});
      if (h2 != 0) terms.push_back({-v, d2});
      if (eta > 0) {
        run.brownian(noise, from, to);
        terms.push_back({run.options.s_noise * to * std::sqrt(-math::expm1_f64(-2 * eta * h)), noise});
      }
      run.vectors.lincomb(run.x, terms);
      h2 = h1;
      h1 = h;
    }
    const Vec oldest = d2;
    d2 = d1;
    d1 = d;
    d = oldest;
    run.done(i);
  }
}

}  // namespace sdgen
