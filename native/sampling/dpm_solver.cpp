#include "sampling/dpm_solver.h"

#include <algorithm>
#include <cmath>

#include "base/math.h"

namespace sdgen {

double dpm_sigma(double t) { return math::exp_f64(-t); }
double dpm_time(double sigma) { return -math::log_f64(sigma); }

DpmTarget dpm_target(double t, double next, double end, double eta) {
  if (eta == 0) return {next, 0};
  const AncestralStep step = ancestral_step(dpm_sigma(t), dpm_sigma(next), eta);
  const double time = std::min(end, dpm_time(step.down)), reached = dpm_sigma(time), asked = dpm_sigma(next);
  return {time, std::sqrt(std::max(0.0, asked * asked - reached * reached))};
}

DpmSolver::DpmSolver(SamplerRun& run)
    : run_(run), e_(run.vectors.make()), e1_(run.vectors.make()), e2_(run.vectors.make()), between_(run.vectors.make()) {}

void DpmSolver::evaluate(Vec out, Vec x, double t) {
  const double sigma = dpm_sigma(t);
  run_.denoise(out, x, sigma);
  run_.vectors.lincomb(out, {{-1 / sigma, out}, {1 / sigma, x}});
}

void DpmSolver::begin(double t) {
  t_ = t;
  has_second_ = false;
  evaluate(e_, run_.x, t);
}

/// The noise at t + r1·h, after a step of order 1 to there.
void DpmSolver::evaluate_at(double r1, double next) {
  if (has_second_) return;
  const double h = next - t_, middle = t_ + r1 * h;
  run_.vectors.lincomb(between_, {{1, run_.x}, {-dpm_sigma(middle) * math::expm1_f64(r1 * h), e_}});
  evaluate(e1_, between_, middle);
  has_second_ = true;
}

void DpmSolver::step_1(Vec out, double next) {
  run_.vectors.lincomb(out, {{1, run_.x}, {-dpm_sigma(next) * math::expm1_f64(next - t_), e_}});
}

void DpmSolver::step_2(Vec out, double next, double r1) {
  evaluate_at(r1, next);
  const double whole = -dpm_sigma(next) * math::expm1_f64(next - t_), difference = whole / (2 * r1);
  run_.vectors.lincomb(out, {{1, run_.x}, {whole - difference, e_}, {difference, e1_}});
}

void DpmSolver::step_3(Vec out, double next) {
  constexpr double kR1 = 1.0 / 3, kR2 = 2.0 / 3;
  evaluate_at(kR1, next);
  const double h = next - t_, middle = t_ + kR2 * h, part = math::expm1_f64(kR2 * h);
  const double to_middle = -dpm_sigma(middle) * part;
  const double bend = -dpm_sigma(middle) * (kR2 / kR1) * (part / (kR2 * h) - 1);
  run_.vectors.lincomb(between_, {{1, run_.x}, {to_middle - bend, e_}, {bend, e1_}});
  evaluate(e2_, between_, middle);
  const double all = math::expm1_f64(h), whole = -dpm_sigma(next) * all, curve = -dpm_sigma(next) / kR2 * (all / h - 1);
  run_.vectors.lincomb(out, {{1, run_.x}, {whole - curve, e_}, {curve, e2_}});
}

}  // namespace sdgen
