#pragma once
// Lu et al., DPM-Solver: steps of orders 1 to 3 in t = -log sigma, shared by DPM fast and DPM adaptive.
#include "sampling/sampler.h"

namespace sdgen {

/// The steps of one interval [t, next] from run.x, which stays as it is. The noise at `t` must be in `e` (see `begin`);
/// evaluations of one step serve the next of the same interval where they are the same.
class DpmSolver {
 public:
  explicit DpmSolver(SamplerRun& run);

  /// Evaluates the noise of run.x at t, and forgets what the last interval knew.
  void begin(double t);
  void step_1(Vec out, double next);
  /// r1 is where in the interval the second evaluation is made.
  void step_2(Vec out, double next, double r1);
  void step_3(Vec out, double next);

 private:
  void evaluate(Vec out, Vec x, double t);
  void evaluate_at(double r1, double next);

  SamplerRun& run_;
  double t_ = 0;
  bool has_second_ = false;
  Vec e_, e1_, e2_, between_;
};

/// sigma = e^-t.
double dpm_sigma(double t);
double dpm_time(double sigma);

/// Where a step from t to next goes, and how much noise brings it up again (k-diffusion: never beyond the end).
struct DpmTarget {
  double time, up;
};
DpmTarget dpm_target(double t, double next, double end, double eta);

}  // namespace sdgen
