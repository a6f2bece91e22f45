// Lu et al., DPM-Solver: DPM-Solver-fast, orders 3 down to 1 that spend `steps` evaluations between the first and the
// last sigma, evenly in log sigma (k-diffusion, sample_dpm_fast).
#include "sampling/dpm_solver.h"

namespace sdgen {

void sample_dpm_fast(SamplerRun& run) {
  const int evaluations = run.steps(), intervals = evaluations / 3 + 1, rest = evaluations % 3;
  const double start = dpm_time(run.sigma(0)), end = dpm_time(run.sigma(evaluations));
  const auto at = [&](int i) { return i == intervals ? end : start + (end - start) * i / intervals; };
  const auto order = [&](int i) {
    if (rest != 0) return i + 1 == intervals ? rest : 3;
    return i + 1 == intervals ? 1 : i + 2 == intervals ? 2 : 3;
  };
  DpmSolver solver(run);
  const Vec noise = run.vectors.make(), next_x = run.vectors.make();
  int spent = 0;
  for (int i = 0; i < intervals; ++i) {
    const DpmTarget target = dpm_target(at(i), at(i + 1), end, run.options.eta);
    solver.begin(at(i));
    if (order(i) == 1) solver.step_1(next_x, target.time);
    if (order(i) == 2) solver.step_2(next_x, target.time, 0.5);
    if (order(i) == 3) solver.step_3(next_x, target.time);
    if (run.options.eta > 0) {
      run.noise(noise);
      run.vectors.lincomb(run.x, {{1, next_x}, {run.options.s_noise * target.up, noise}});
    } else {
      run.vectors.lincomb(run.x, {{1, next_x}});
    }
    spent += order(i);
    run.report(spent, evaluations, dpm_sigma(at(i)));
  }
}

}  // namespace sdgen
