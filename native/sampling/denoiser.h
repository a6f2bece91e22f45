#pragma once
// From the network to the denoiser: sigma, timestep and the scalings of eps- and v-prediction; fp64.
#include <vector>

#include "models/config.h"

namespace sdgen {

/// D(x, sigma) = c_skip·x + c_out·network(c_in·x, t).
struct Scalings {
  double c_skip, c_out, c_in;
};
Scalings scalings(PredictionType prediction, double sigma);

/// The 1000 sigmas a model was trained with, ascending: scaled-linear betas from 0.00085 to 0.012 (docs/numerics.md).
class TrainedSigmas {
 public:
  TrainedSigmas();
  const std::vector<double>& values() const noexcept { return sigmas_; }
  /// The timestep of a sigma, linear in log sigma between trained ones, clamped to 0 … 999; may be fractional.
  double timestep(double sigma) const;

 private:
  std::vector<double> sigmas_, log_sigmas_;
};

}  // namespace sdgen
