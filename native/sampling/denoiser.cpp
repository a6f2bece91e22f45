#include "sampling/denoiser.h"

#include <algorithm>
#include <cmath>

#include "base/math.h"
#include "models/noise_table.h"

namespace sdgen {

Scalings scalings(PredictionType prediction, double sigma) {
  const double s2 = sigma * sigma + 1, root = std::sqrt(s2);
  if (prediction == PredictionType::kVPrediction) return {1 / s2, -sigma / root, 1 / root};
  return {1, -sigma, 1 / root};
}

Scalings noise_scalings(PredictionType prediction, VpPoint point) {
  if (prediction == PredictionType::kVPrediction) return {point.sigma, point.alpha, 1};
  return {0, 1, 1};
}

TrainedSigmas::TrainedSigmas() : TrainedSigmas(alphas_of({})) {}

TrainedSigmas::TrainedSigmas(std::span<const double> alphas_cumprod) {
  for (const double alpha : alphas_cumprod) {
    add(alpha);
  }
}

TrainedSigmas::TrainedSigmas(std::span<const float> alphas_cumprod) {
  for (const float alpha : alphas_cumprod) add(static_cast<double>(alpha));
}

void TrainedSigmas::add(double alpha_cumprod) {
  sigmas_.push_back(std::sqrt((1 - alpha_cumprod) / alpha_cumprod));
  log_sigmas_.push_back(math::log_f64(sigmas_.back()));
}

double TrainedSigmas::timestep(double sigma) const {
  if (sigma <= sigmas_.front()) return 0;
  if (sigma >= sigmas_.back()) return static_cast<double>(sigmas_.size() - 1);
  const auto above = std::upper_bound(sigmas_.begin(), sigmas_.end(), sigma) - sigmas_.begin();
  const auto low = static_cast<size_t>(above - 1);
  const double span = log_sigmas_[low + 1] - log_sigmas_[low];
  return static_cast<double>(low) + (math::log_f64(sigma) - log_sigmas_[low]) / span;
}

double TrainedSigmas::nearest(double sigma) const {
  const double t = timestep(sigma), low = std::floor(t);
  return t - low > 0.5 ? low + 1 : low;
}

VpPoint TrainedSigmas::point(double timestep) const {
  if (timestep < 0) return {1, 0};
  const auto last = static_cast<double>(sigmas_.size() - 1);
  const double inside = timestep < last ? timestep : last;
  const auto low = static_cast<size_t>(inside);
  const double weight = inside - static_cast<double>(low), s2 = sigmas_[low] * sigmas_[low];
  if (weight == 0) return {1 / std::sqrt(1 + s2), sigmas_[low] / std::sqrt(1 + s2)};
  const double next = sigmas_[low + 1] * sigmas_[low + 1];
  // log alpha = -log(1 + sigma²)/2
  const double twice = (1 - weight) * math::log_f64(1 + s2) + weight * math::log_f64(1 + next);
  return {math::exp_f64(-0.5 * twice), std::sqrt(-math::expm1_f64(-twice))};
}

}  // namespace sdgen
