#include "base/rng_mt19937.h"

#include <cmath>

#include "base/math.h"

namespace sdgen {

namespace {

constexpr double kTwoPi = 0x1.921fb54442d18p+2;

struct NormalPair {
  double first, second;
};

/// Box and Muller: radius from `u` in (0, 1], angle from `v` in [0, 1).
NormalPair normal_pair(double u, double v) noexcept {
  const double radius = std::sqrt(-2.0 * math::log_f64(u));
  const double angle = kTwoPi * v;
  return {radius * math::cos_f64(angle), radius * math::sin_f64(angle)};
}

}  // namespace

Mt19937::Mt19937(uint32_t seed) noexcept {
  state_[0] = seed;
  for (size_t i = 1; i < kSize; ++i) {
    state_[i] = 1812433253u * (state_[i - 1] ^ (state_[i - 1] >> 30)) + static_cast<uint32_t>(i);
  }
}

void Mt19937::refill() noexcept {
  for (size_t i = 0; i < kSize; ++i) {
    const uint32_t joined = (state_[i] & 0x80000000u) | (state_[(i + 1) % kSize] & 0x7fffffffu);
    state_[i] = state_[(i + 397) % kSize] ^ (joined >> 1) ^ ((joined & 1u) != 0 ? 0x9908b0dfu : 0u);
  }
  next_ = 0;
}

uint32_t Mt19937::next() noexcept {
  if (next_ == kSize) refill();
  uint32_t y = state_[next_++];
  y ^= y >> 11;
  y ^= (y << 7) & 0x9d2c5680u;
  y ^= (y << 15) & 0xefc60000u;
  return y ^ (y >> 18);
}

float TorchCpuGenerator::uniform() noexcept { return static_cast<float>(twister_.next() & 0xffffffu) * 0x1p-24f; }

double TorchCpuGenerator::uniform_double() noexcept {
  const uint64_t high = twister_.next();
  const uint64_t low = twister_.next();
  return static_cast<double>(((high << 32) | low) & 0x1fffffffffffffu) * 0x1p-53;
}

double TorchCpuGenerator::normal_double() noexcept {
  if (has_kept_) {
    has_kept_ = false;
    return kept_;
  }
  const double v = uniform_double();
  const double u = uniform_double();
  const NormalPair pair = normal_pair(1.0 - u, v);
  kept_ = pair.second;
  has_kept_ = true;
  return pair.first;
}

/// Turns 16 uniforms into 16 normals in place: value j makes a pair with value j + 8.
void TorchCpuGenerator::fill_block(float* block) noexcept {
  for (int j = 0; j < 8; ++j) {
    const NormalPair pair = normal_pair(1.0 - static_cast<double>(block[j]), static_cast<double>(block[j + 8]));
    block[j] = static_cast<float>(pair.first);
    block[j + 8] = static_cast<float>(pair.second);
  }
}

void TorchCpuGenerator::rand(float* out, size_t count) noexcept {
  for (size_t i = 0; i < count; ++i) out[i] = uniform();
}

void TorchCpuGenerator::randn(float* out, size_t count) noexcept {
  if (count < 16) {
    for (size_t i = 0; i < count; ++i) out[i] = static_cast<float>(normal_double());
    return;
  }
  rand(out, count);
  for (size_t i = 0; i + 16 <= count; i += 16) fill_block(out + i);
  if (count % 16 != 0) {
    // torch draws the last 16 values afresh when they do not fill a block.
    rand(out + count - 16, 16);
    fill_block(out + count - 16);
  }
}

}  // namespace sdgen
