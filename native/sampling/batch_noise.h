#pragma once
// The noise of a whole batch: image i draws from streams of its own, in NCHW order, handed on as NHWC.
#include <cstdint>
#include <memory>
#include <vector>

#include "base/brownian_tree.h"
#include "base/noise.h"

namespace sdgen {

struct NoisePlan {
  NoiseSource source = NoiseSource::kPhilox;
  std::vector<uint64_t> seeds = {};     // one an image
  std::vector<uint64_t> subseeds = {};  // as many, or none: the start is turned towards their noise by `strength`
  double strength = 0;
  int64_t resize_width = 0, resize_height = 0;  // in latent cells; 0: none. The start's middle is that size's noise
  std::vector<uint64_t> later_seeds = {};       // as many, or none: draws after the start come from new streams
};

class BatchNoise {
 public:
  BatchNoise(NoisePlan plan, int64_t channels, int64_t height, int64_t width);

  /// The start's noise; called once, before the others. Valid until the next call of any.
  const float* start();
  /// The next draw of every image.
  const float* next();
  /// The Brownian noise of a step, over the interval [low, high] of the whole schedule that the first call gives.
  const float* brownian(double sigma, double next, double low, double high);

 private:
  std::vector<float> first(size_t image);
  const float* ordered();

  NoisePlan plan_;
  int64_t channels_, height_, width_;
  std::vector<std::unique_ptr<NoiseStream>> streams_;
  std::vector<BrownianTree> trees_;
  std::vector<float> drawn_, ordered_;
};

/// The noise of two seeds [channels, height, width] joined: turned from `low` towards `high` by `strength` (0 … 1), one
/// angle for each channel and column, as the webui does it (docs/numerics.md).
void slerp(std::vector<float>& low, const std::vector<float>& high, double strength, int64_t channels, int64_t height,
           int64_t width);

/// Pastes `middle` [channels, height, width] into the middle of `onto`, or the middle of it where it is larger.
void paste_centred(const std::vector<float>& middle, int64_t middle_height, int64_t middle_width, std::vector<float>& onto,
                   int64_t height, int64_t width, int64_t channels);

}  // namespace sdgen
