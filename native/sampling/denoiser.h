#pragma once
// From the network to the denoiser: sigma, timestep and the scalings of eps- and v-prediction; fp64.
#include <span>
#include <vector>

#include "models/config.h"

namespace sdgen {

/// D(x, sigma) = c_skip·x + c_out·network(c_in·x, t).
struct Scalings {
  double c_skip, c_out, c_in;
};
Scalings scalings(PredictionType prediction, double sigma);

/// A point of the variance-preserving process: x = alpha·x0 + sigma·noise, alpha² + sigma² = 1.
struct VpPoint {
  double alpha, sigma;
};
/// e(x, t) = c_skip·x + c_out·network(x, t), the noise in x of the process at `point`.
Scalings noise_scalings(PredictionType prediction, VpPoint point);

/// The sigmas a model was trained with, ascending: √((1 − A)/A) of its products of 1 − beta (models/noise_table.h).
class TrainedSigmas {
 public:
  /// Of SD's own betas.
  TrainedSigmas();
  explicit TrainedSigmas(std::span<const double> alphas_cumprod);
  /// From a table of its own: the cumulative product of 1 - beta, each in (0, 1) and descending.
  explicit TrainedSigmas(std::span<const float> alphas_cumprod);
  const std::vector<double>& values() const noexcept { return sigmas_; }
  /// The timestep of a sigma, linear in log sigma between trained ones, clamped to the first and last; may be fractional.
  double timestep(double sigma) const;
  /// The whole timestep whose sigma is nearest in log; of two equally near ones the smaller.
  double nearest(double sigma) const;
  /// The process at a timestep, log alpha linear between trained ones; -1 is its clean end, (1, 0).
  VpPoint point(double timestep) const;

 private:
  void add(double alpha_cumprod);

  std::vector<double> sigmas_, log_sigmas_;
};

}  // namespace sdgen
