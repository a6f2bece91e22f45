#pragma once
// What the machine can do at most: products from registers alone, and copying. Every share the bench prints is of these.
#include <memory>
#include <string>
#include <vector>

#include "base/thread_pool.h"

namespace sdgen::bench {

struct LevelPeak {
  std::string isa;        // portable, avx2, avx512, avx512bf16, amx
  double fp32_gflops = 0;
  double bf16_gflops = 0;  // 0: this level does not multiply bf16
};

/// Keeps the best of all samples taken: others' load only ever lowers one.
class PeakMeter {
 public:
  explicit PeakMeter(int threads);
  ~PeakMeter();
  PeakMeter(const PeakMeter&) = delete;
  PeakMeter& operator=(const PeakMeter&) = delete;

  /// Every level this processor has, for about `seconds` each, and copying.
  void sample_all(double seconds);
  /// The cpu backend's level alone, in "fp32" or "bf16": cheap enough to go between two timed runs.
  void sample(const std::string& precision, double seconds);

  const std::vector<LevelPeak>& levels() const noexcept { return levels_; }
  /// GFLOP/s of the fastest level up to the one that the cpu backend runs (SDGEN_ISA); 0 if the processor does not multiply in that precision.
  double gflops(const std::string& precision) const;
  /// GB/s (10^9 bytes) read and written by copying from memory to memory.
  double copy_gbs() const noexcept { return copy_gbs_; }

 private:
  void sample_level(size_t level, bool bf16, double seconds);
  void sample_copy();

  ThreadPool pool_;
  std::vector<LevelPeak> levels_;
  size_t running_ = 0;  // the cpu backend's
  double copy_gbs_ = 0;
};

}  // namespace sdgen::bench
