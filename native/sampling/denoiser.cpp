#include "sampling/denoiser.h"

#include <algorithm>
#include <cmath>

#include "base/math.h"

namespace sdgen {

Scalings scalings(PredictionType prediction, double sigma) {
  const double s2 = sigma * sigma + 1, root = std::sqrt(s2);
  if (prediction == PredictionType::kVPrediction) return {1 / s2, -sigma / root, 1 / root};
  return {1, -sigma, 1 / root};
}

TrainedSigmas::TrainedSigmas() {
  constexpr int kSteps = 1000;
  const double first = std::sqrt(0.00085), last = std::sqrt(0.012);
  double alphas_cumprod = 1;
  for (int i = 0; i < kSteps; ++i) {
    const double root = first + static_cast<double>(i) / (kSteps - 1) * (last - first);
    alphas_cumprod *= 1 - root * root;
    sigmas_.push_back(std::sqrt((1 - alphas_cumprod) / alphas_cumprod));
    log_sigmas_.push_back(math::log_f64(sigmas_.back()));
  }
}

double TrainedSigmas::timestep(double sigma) const {
  if (sigma <= sigmas_.front()) return 0;
  if (sigma >= sigmas_.back()) return static_cast<double>(sigmas_.size() - 1);
  const auto above = std::upper_bound(sigmas_.begin(), sigmas_.end(), sigma) - sigmas_.begin();
  const auto low = static_cast<size_t>(above - 1);
  const double span = log_sigmas_[low + 1] - log_sigmas_[low];
  return static_cast<double>(low) + (math::log_f64(sigma) - log_sigmas_[low]) / span;
}

}  // namespace sdgen
