#include "bench/peaks.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <cstring>
#include <limits>
#include <thread>

#include "backends/cpu/dispatch.h"
#include "base/cpu_info.h"
#include "bench/clock.h"
#include "bench/peak_loops.h"

namespace sdgen::bench {
namespace {

constexpr double kBurst = 2e-3;  // seconds: long against the clock, short enough to fit between others' work
constexpr int64_t kCopyBytes = int64_t{64} << 20;  // beyond the last-level cache
constexpr int kCopies = 5;

std::atomic<float> sink;  // results go here so that no loop is left out

std::vector<const PeakLevel*> supported_levels() {
  std::vector<const PeakLevel*> found;
  for (const PeakLevel& level : peak_levels()) {
    if (level.supported()) found.push_back(&level);
  }
  return found;
}

}  // namespace

PeakMeter::PeakMeter(int threads) : pool_(threads) {
  const std::string isa = cpu::info().isa;
  for (const PeakLevel* level : supported_levels()) {
    if (level->isa == isa) running_ = levels_.size();
    levels_.push_back({level->isa});
  }
}

PeakMeter::~PeakMeter() = default;

void PeakMeter::sample_level(size_t index, bool bf16, double seconds) {
  const PeakLevel& level = *supported_levels().at(index);
  const PeakLoop loop = bf16 ? level.bf16 : level.fp32;
  const double flops = bf16 ? level.bf16_flops : level.fp32_flops;
  if (loop == nullptr) return;
  std::array<float, kPeakSeeds> seeds;
  for (int i = 0; i < kPeakSeeds; ++i) seeds[static_cast<size_t>(i)] = 0.5f + 0.01f * static_cast<float>(i);
  const auto threads = static_cast<size_t>(pool_.size());
  std::vector<double> starts(threads), ends(threads), fastest(threads, std::numeric_limits<double>::infinity());
  const auto burst = [&](int64_t rounds) {
    std::atomic<int> waiting = pool_.size();
    pool_.parallel_for(pool_.size(), 1, [&](int64_t, int64_t, int thread) {
      // All begin together: waking them is not work.
      for (--waiting; waiting.load(std::memory_order_acquire) > 0;) std::this_thread::yield();
      starts[static_cast<size_t>(thread)] = now();
      sink = loop(rounds, seeds.data());
      ends[static_cast<size_t>(thread)] = now();
    });
    return *std::max_element(ends.begin(), ends.end()) - *std::min_element(starts.begin(), starts.end());
  };
  int64_t rounds = 1000;
  for (double time = burst(rounds); time < kBurst; time = burst(rounds)) rounds *= 2;
  double whole = std::numeric_limits<double>::infinity();
  for (const double end = now() + seconds; now() < end;) {
    whole = std::min(whole, burst(rounds));
    for (size_t t = 0; t < threads; ++t) fastest[t] = std::min(fastest[t], ends[t] - starts[t]);
  }
  // With a core for each thread the sum of each one's best is the same in quiet and finds the peak under others' load too,
  // when there is no moment that all cores are free. Threads that share a core would each find it free and count it twice.
  const double work = flops * static_cast<double>(rounds) * 1e-9;
  double rate = static_cast<double>(threads) * work / whole;
  if (pool_.size() <= physical_cores()) {
    rate = 0;
    for (double time : fastest) rate += work / time;
  }
  double& best = bf16 ? levels_[index].bf16_gflops : levels_[index].fp32_gflops;
  best = std::max(best, rate);
}

void PeakMeter::sample_copy() {
  std::vector<unsigned char> from(kCopyBytes, 1), to(kCopyBytes, 2);
  for (int i = 0; i < kCopies; ++i) {
    const double start = now();
    pool_.parallel_for(kCopyBytes, 4096, [&](int64_t begin, int64_t end, int) {
      std::memcpy(to.data() + begin, from.data() + begin, static_cast<size_t>(end - begin));
    });
    copy_gbs_ = std::max(copy_gbs_, 2e-9 * static_cast<double>(kCopyBytes) / (now() - start));
    sink = static_cast<float>(to[static_cast<size_t>(i)]);
  }
}

void PeakMeter::sample_all(double seconds) {
  for (size_t i = 0; i < levels_.size(); ++i) {
    sample_level(i, false, seconds);
    sample_level(i, true, seconds);
  }
  sample_copy();
}

void PeakMeter::sample(const std::string& precision, double seconds) {
  if (!levels_.empty()) sample_level(running_, precision == "bf16", seconds);
}

double PeakMeter::gflops(const std::string& precision) const {
  double best = 0;
  for (size_t i = 0; i < levels_.size() && i <= running_; ++i) {
    best = std::max(best, precision == "bf16" ? levels_[i].bf16_gflops : levels_[i].fp32_gflops);
  }
  return best;
}

}  // namespace sdgen::bench
