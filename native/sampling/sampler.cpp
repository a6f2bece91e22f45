#include "sampling/sampler.h"

#include <algorithm>
#include <cmath>

namespace sdgen {
namespace {

constexpr Sampler kSamplers[] = {
    {"dpmpp_2m", sample_dpmpp_2m},
    {"dpmpp_sde", sample_dpmpp_sde},
    {"dpmpp_2m_sde", sample_dpmpp_2m_sde},
    {"dpmpp_2m_sde_heun", sample_dpmpp_2m_sde_heun},
    {"dpmpp_2s_ancestral", sample_dpmpp_2s_ancestral},
    {"dpmpp_3m_sde", sample_dpmpp_3m_sde},
    {"euler_ancestral", sample_euler_ancestral},
    {"euler", sample_euler},
    {"lms", sample_lms},
    {"heun", sample_heun},
    {"dpm_2", sample_dpm_2},
    {"dpm_2_ancestral", sample_dpm_2_ancestral},
    {.id = "dpm_fast", .run = sample_dpm_fast, .ends_above_0 = true},
    {.id = "dpm_adaptive", .run = sample_dpm_adaptive, .one_image = true, .ends_above_0 = true},
    {"restart", sample_restart, Walk::kRestarts},
    {"ddim", sample_ddim, Walk::kTimesteps},
    {.id = "ddim_cfgpp", .run = sample_ddim_cfgpp, .walk = Walk::kTimesteps, .cfg_divisor = 12.5, .needs_uncond = true},
    {"plms", sample_plms, Walk::kTimesteps},
    {"unipc", sample_unipc, Walk::kTimesteps},
    {"lcm", sample_lcm},
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
  if (!(o.s_churn > 0)) return sigma;
  run.noise(scratch);  // k-diffusion draws at every step, used or not
  if (sigma < o.s_tmin || sigma > o.s_tmax) return sigma;
  const double gamma = std::min(o.s_churn / run.steps(), std::sqrt(2.0) - 1);
  const double raised = sigma * (gamma + 1);
  run.vectors.lincomb(run.x, {{1, run.x}, {o.s_noise * std::sqrt(raised * raised - sigma * sigma), scratch}});
  return raised;
}

}  // namespace sdgen
