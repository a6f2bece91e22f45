#pragma once
// torch's CPU generator: MT19937 with the draws torch builds on it.
#include <array>
#include <cstddef>
#include <cstdint>

namespace sdgen {

/// Matsumoto and Nishimura's Mersenne Twister (1998), seeded by their init_genrand.
class Mt19937 {
 public:
  explicit Mt19937(uint32_t seed) noexcept;
  uint32_t next() noexcept;

 private:
  static constexpr size_t kSize = 624;
  void refill() noexcept;

  std::array<uint32_t, kSize> state_;
  size_t next_ = kSize;
};

/// What torch.manual_seed(seed) leaves behind. torch seeds its twister with the low 32 bits of the seed.
class TorchCpuGenerator {
 public:
  explicit TorchCpuGenerator(uint64_t seed) noexcept : twister_(static_cast<uint32_t>(seed)) {}

  /// torch.rand(count), float32: one word a value.
  void rand(float* out, size_t count) noexcept;
  /// torch.randn(count), float32. Fewer than 16 values come one by one in double precision, two to a pair of uniforms,
  /// and the odd one is kept for the next such call; 16 or more come in blocks and leave that kept value alone.
  void randn(float* out, size_t count) noexcept;

 private:
  float uniform() noexcept;
  double uniform_double() noexcept;
  double normal_double() noexcept;
  void fill_block(float* block) noexcept;

  Mt19937 twister_;
  bool has_kept_ = false;
  double kept_ = 0.0;
};

}  // namespace sdgen
