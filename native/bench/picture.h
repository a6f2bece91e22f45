#pragma once
// A whole picture on weights made in memory: the sampler's loop with guidance, and the decoder.
#include <functional>
#include <memory>

#include "backends/backend.h"
#include "bench/report.h"
#include "models/config.h"

namespace sdgen::bench {

struct PictureWork {
  int64_t width = 512, height = 512;
  int steps = 20, repeat = 3;
};

/// Euler's steps with guidance from noise to pixels, as the engine does them for one picture; the best of the runs after one
/// that warms up. The text is given: its encoder takes no part. `before_run` is called before each run. Throws kInternal if two
/// runs give other pixels.
PartRow time_picture(std::unique_ptr<Backend> backend, const ModelConfig& config, const PictureWork& work, const std::string& precision,
                     const std::function<void(int run)>& before_run);

}  // namespace sdgen::bench
