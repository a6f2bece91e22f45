// Lu et al., DPM-Solver: DPM-Solver-23, whose steps grow and shrink by the difference of orders 2 and 3 (k-diffusion,
// sample_dpm_adaptive). `steps` counts for nothing but progress.
#include <algorithm>
#include <cmath>
#include <utility>

#include "base/error.h"
#include "base/math.h"
#include "sampling/dpm_solver.h"

namespace sdgen {
namespace {

constexpr double kRelative = 0.05, kAbsolute = 0.0078, kFirstStep = 0.05, kSafety = 0.81, kNever = 1e-8;

/// Root mean square of (low - high)/max(absolute, relative·max(|low|, |previous|)), summed in order in fp64.
double error_of(const Vectors& vectors, Vec low, Vec high, Vec previous) {
  const auto count = static_cast<size_t>(vectors.count());
  std::vector<float> l(count), h(count), p(count);
  vectors.download(low, l.data());
  vectors.download(high, h.data());
  vectors.download(previous, p.data());
  double sum = 0;
  for (size_t i = 0; i < count; ++i) {
    const double value = static_cast<double>(l[i]), scale = std::max(std::fabs(value), std::fabs(static_cast<double>(p[i])));
    const double ratio = (value - static_cast<double>(h[i])) / std::max(kAbsolute, kRelative * scale);
    sum += ratio * ratio;
  }
  return std::sqrt(sum / static_cast<double>(count));
}

}  // namespace

void sample_dpm_adaptive(SamplerRun& run) {
  const double start = dpm_time(run.sigma(0)), end = dpm_time(run.sigma(run.steps()));
  const double eta = run.options.eta, order = eta > 0 ? 1.5 : 3;
  DpmSolver solver(run);
  Vec low = run.vectors.make(), previous = run.vectors.make();
  const Vec high = run.vectors.make(), noise = run.vectors.make();
  run.vectors.lincomb(previous, {{1, run.x}});
  double t = start, h = kFirstStep;
  int done = 0;
  while (t < end - 1e-5) {
    const double next = std::min(end, t + h);
    const DpmTarget target = dpm_target(t, next, end, eta);
    solver.begin(t);
    solver.step_2(low, target.time, 1.0 / 3);
    solver.step_3(high, target.time);
    // The integral controller: the step grows by (1/error)^(1/order), tamed by 1 + atan(factor - 1).
    const double factor = math::exp_f64(-math::log_f64(error_of(run.vectors, low, high, previous) + kNever) / order);
    const double tamed = 1 + math::atan_f64(factor - 1);
    h *= tamed;
    if (!(h > 1e-9)) throw Error(ErrorCode::kNonFinite, "dpm_adaptive finds no step that is small enough: a smaller cfgScale may help");
    if (tamed < kSafety) continue;
    std::swap(previous, low);
    if (eta > 0) {
      run.noise(noise);
      run.vectors.lincomb(run.x, {{1, high}, {run.options.s_noise * target.up, noise}});
    } else {
      run.vectors.lincomb(run.x, {{1, high}});
    }
    const double sigma = dpm_sigma(t);
    t = next;
    const double share = t < end - 1e-5 ? (t - start) / (end - start) : 1;
    const int now = static_cast<int>(share * run.steps());
    if (now > done) run.report(now, run.steps(), sigma);
    done = std::max(done, now);
  }
}

}  // namespace sdgen
