#pragma once
// Times the parts of a model on weights made in memory, against the machine's peak measured in the same run.
#include <atomic>
#include <functional>
#include <string>
#include <vector>

#include "bench/report.h"

namespace sdgen::bench {

struct Options {
  std::string arch = "sd1";
  std::string model;               // a checkpoint's path: its dimensions are taken, its weights are not read
  std::vector<std::string> parts;  // text, unet, vae-decode; none: all
  int64_t width = 512, height = 512, batch = 2;
  std::vector<std::string> precisions;  // none: all that the device has
  std::string device = "auto";
  int threads = 0;                 // 0: one per physical core
  int repeat = 5;                  // runs of each part; the best counts
  bool op_shapes = false;          // time each distinct op of the parts by itself
  std::vector<std::string> ops;    // or these alone, as op_program() takes them
  int picture_steps = 0;           // time a whole picture of so many steps instead of the parts
  bool cold = false;               // out of the caches before each timed op
};

/// Throws kInvalidArgument for what is wrong in the options, kDevice for a precision that this machine does not have,
/// kCancelled. `progress` gets a line before each measurement.
Report run_bench(const Options& options, const std::atomic<bool>* cancel, const std::function<void(const std::string&)>& progress);

}  // namespace sdgen::bench
