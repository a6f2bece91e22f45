#pragma once
// How a run begins: noise alone, or noise in a given latent; and what a mask keeps of that latent through the run.
#include <optional>

#include "engine/engine.h"
#include "sampling/batch_noise.h"
#include "sampling/denoiser.h"
#include "sampling/vectors.h"

namespace sdgen {

/// What a mask keeps: x = x·mask + latent·(1 - mask), cell by cell.
class KeptLatent {
 public:
  /// `latent` and `mask` are [images, height, width, channels].
  KeptLatent(Vectors& vectors, const std::vector<float>& latent, const std::vector<float>& mask);
  void blend(VectorView x) const { vectors_->backend().blend(x, vectors_->view(weight_), vectors_->view(kept_)); }

 private:
  Vectors* vectors_;
  Vec weight_, kept_;
};

/// Writes the run's start into x. Gives what the mask keeps, where there is one.
std::optional<KeptLatent> start_sample(const SampleRequest& request, const TrainedSigmas& trained, int64_t channels, Vectors& vectors,
                                       BatchNoise& noise, Vec x);

}  // namespace sdgen
