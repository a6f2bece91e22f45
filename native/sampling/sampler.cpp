#include "sampling/sampler.h"

#include <algorithm>
#include <cmath>

namespace sdgen {
namespace {

constexpr Sampler kSamplers[] = {
    {"dpmpp_2m", sample_dpmpp_2m},
    {"dpmpp_2s_ancestral", sample_dpmpp_2s_ancestral},
    {"euler_ancestral", sample_euler_ancestral},
    {"euler", sample_euler},
    {"lms", sample_lms},
    {"heun", sample_heun},
    {"dpm_2", sample_dpm_2},
    {"dpm_2_ancestral", sample_dpm_2_ancestral},
};

}  // namespace

std::span<const Sampler> samplers() { return kSamplers; }

const Sampler* find_sampler(std::string_view id) {
  for (const Sampler& sampler : kSamplers) {
    if (sampler.id == id) return &sampler;
  }
  return nullptr;
}

AncestralStep ancestral_step(double from, double to, double eta) {
  if (eta == 0) return {to, 0};
  const double up = std::min(to, eta * std::sqrt(to * to * (from * from - to * to) / (from * from)));
  return {std::sqrt(to * to - up * up), up};
}

double churn(SamplerRun& run, int step, Vec scratch) {
  const double sigma = run.sigma(step);
  const SamplerOptions& o = run.options;
  if (!(o.s_churn > 0) || sigma < o.s_tmin || sigma > o.s_tmax) return sigma;
  const double gamma = std::min(o.s_churn / run.steps(), std::sqrt(2.0) - 1);
  const double raised = sigma * (gamma + 1);
  run.noise(scratch);
  run.vectors.lincomb(run.x, {{1, run.x}, {o.s_noise * std::sqrt(raised * raised - sigma * sigma), scratch}});
  return raised;
}

}  // namespace sdgen
