#pragma once
// A sampler is a loop over sigmas or timesteps that sees only this: an abstract denoiser, noise, a few vectors.
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "sampling/denoiser.h"
#include "sampling/vectors.h"

namespace sdgen {

/// UniPC's B(h): h itself (the webui's default) or e^h - 1; or coefficients that vary with h.
enum class UniPcVariant { kBh1, kBh2, kVaryCoeff };

struct SamplerOptions {
  double eta = 1.0, s_churn = 0.0, s_tmin = 0.0, s_tmax = 1e308, s_noise = 1.0;
  UniPcVariant unipc_variant = UniPcVariant::kBh1;
  int unipc_order = 3;
};

/// What a sampler goes along; it decides what x is at the start.
enum class Walk {
  kSigmas,     // x = x0 + sigma·noise, sigmas that fall
  kRestarts,   // the same, and a sigma may rise: noise is added there
  kTimesteps,  // x = alpha·x0 + sqrt(1 - alpha²)·noise, timesteps that fall
};

struct SamplerRun {
  Vectors& vectors;
  Vec x;                             // in: noise, scaled as the walk wants it; out: the result
  std::span<const float> sigmas;     // steps + 1 values; in a walk of timesteps theirs, for reports alone
  std::span<const float> timesteps;  // steps + 1 values in a walk of timesteps; the last may be -1, the clean end
  const TrainedSigmas& trained;
  SamplerOptions options = {};
  /// out = D(x, sigma), the guided denoiser of x = x0 + sigma·noise.
  std::function<void(Vec out, Vec x, double sigma)> denoise = {};
  /// out = e(x, t), the guided noise of x = alpha·x0 + sqrt(1 - alpha²)·noise.
  std::function<void(Vec out, Vec x, double timestep)> predict = {};
  /// What the unconditional branch alone gave in the last `predict`. For samplers that have `needs_uncond`.
  std::function<void(Vec out)> uncond = {};
  /// The next draw of every image's stream.
  std::function<void(Vec out)> noise = {};
  /// Every image's Brownian noise of a step from sigma to next.
  std::function<void(Vec out, double sigma, double next)> brownian = {};
  /// Puts back into a clean x what a mask keeps; empty where there is no mask. For a sampler that makes x0 of `predict`.
  std::function<void(Vec x0)> keep = {};
  /// `done` of `of` steps are complete; sigma is where the last of them began.
  std::function<void(int done, int of, double sigma)> report = {};

  int steps() const { return static_cast<int>(sigmas.size()) - 1; }
  double sigma(int i) const { return static_cast<double>(sigmas[static_cast<size_t>(i)]); }
  double timestep(int i) const { return static_cast<double>(timesteps[static_cast<size_t>(i)]); }
  /// Step i (from 0) of `steps()` is complete.
  void done(int i) const { report(i + 1, steps(), sigma(i)); }
};

struct Sampler {
  std::string_view id;
  void (*run)(SamplerRun&);
  Walk walk = Walk::kSigmas;
  double cfg_divisor = 1;     // the guidance scale is divided by it
  bool needs_uncond = false;  // the unconditional branch is evaluated at every scale
  bool one_image = false;     // its steps depend on x: images of a batch would change each other
  bool ends_above_0 = false;  // it counts in log sigma: the last sigma may not be 0
};

/// All samplers, in the order of the user-facing table.
std::span<const Sampler> samplers();
/// nullptr when there is none of that id.
const Sampler* find_sampler(std::string_view id);

void sample_euler(SamplerRun& run);
void sample_euler_ancestral(SamplerRun& run);
void sample_heun(SamplerRun& run);
void sample_dpmpp_2m(SamplerRun& run);
void sample_dpmpp_2s_ancestral(SamplerRun& run);
void sample_dpmpp_sde(SamplerRun& run);
void sample_dpmpp_2m_sde(SamplerRun& run);
void sample_dpmpp_2m_sde_heun(SamplerRun& run);
void sample_dpmpp_3m_sde(SamplerRun& run);
void sample_lms(SamplerRun& run);
void sample_dpm_2(SamplerRun& run);
void sample_dpm_2_ancestral(SamplerRun& run);
void sample_dpm_fast(SamplerRun& run);
void sample_dpm_adaptive(SamplerRun& run);
void sample_restart(SamplerRun& run);
void sample_ddim(SamplerRun& run);
void sample_ddim_cfgpp(SamplerRun& run);
void sample_plms(SamplerRun& run);
void sample_unipc(SamplerRun& run);
void sample_lcm(SamplerRun& run);

/// Where an ancestral step goes down to and how much noise brings it up again; fp64.
struct AncestralStep {
  double down, up;
};
AncestralStep ancestral_step(double from, double to, double eta);

/// Stochastic churn of Karras et al., Algorithm 2: adds noise to x when it applies and returns the raised sigma.
/// `scratch` takes the noise.
double churn(SamplerRun& run, int step, Vec scratch);

}  // namespace sdgen
