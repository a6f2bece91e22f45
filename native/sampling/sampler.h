#pragma once
// A sampler is a loop over sigmas that sees only this: an abstract denoiser, a noise source, a few vectors.
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "sampling/vectors.h"

namespace sdgen {

struct SamplerOptions {
  double eta = 1.0, s_churn = 0.0, s_tmin = 0.0, s_tmax = 1e308, s_noise = 1.0;
};

struct SamplerRun {
  Vectors& vectors;
  Vec x;                          // in: noise scaled to the first sigma; out: the result
  std::span<const float> sigmas;  // steps + 1 values
  SamplerOptions options;
  std::function<void(Vec out, Vec x, double sigma)> denoise;  // out = D(x, sigma)
  std::function<void(Vec out)> noise;                         // the next draw of every image's stream
  std::function<void(int step)> done;                         // step i (from 0) is complete

  int steps() const { return static_cast<int>(sigmas.size()) - 1; }
  double sigma(int i) const { return static_cast<double>(sigmas[static_cast<size_t>(i)]); }
};

struct Sampler {
  std::string_view id;
  void (*run)(SamplerRun&);
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
void sample_lms(SamplerRun& run);
void sample_dpm_2(SamplerRun& run);
void sample_dpm_2_ancestral(SamplerRun& run);

/// Where an ancestral step goes down to and how much noise brings it up again; fp64.
struct AncestralStep {
  double down, up;
};
AncestralStep ancestral_step(double from, double to, double eta);

/// Stochastic churn of Karras et al., Algorithm 2: adds noise to x when it applies and returns the raised sigma.
/// `scratch` takes the noise.
double churn(SamplerRun& run, int step, Vec scratch);

}  // namespace sdgen
