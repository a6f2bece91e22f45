#pragma once
// The Brownian motion behind the SDE samplers: increments over any interval, the same whatever is asked first.
#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "base/noise.h"

namespace sdgen {

/// The first word that numpy's SeedSequence(entropy, spawn_key = (key, depth), pool_size = 24) generates; without a
/// spawn key at `depth` -1 (M. O'Neill's seed_seq_fe, as in NumPy).
uint32_t seed_sequence_word(uint64_t entropy, uint64_t key, int depth) noexcept;

/// Nearest multiple of 1e-6, ties of the exact value to even: Python's round(x, 6). For |x| < 2^32.
double round6(double x) noexcept;

/// W over [low, high] of one image, as torchsde's BrownianTree draws it: halved from the root down, every node with a
/// generator of its own. Values are float32, `count` of them, in the order of NoiseStream.
class BrownianTree {
 public:
  /// 0 < low <= high.
  BrownianTree(NoiseSource source, uint64_t seed, double low, double high, size_t count);
  ~BrownianTree();
  BrownianTree(BrownianTree&&) noexcept;

  /// out = the noise of a step from sigma to next: the increment between them, divided by the root of its length, and
  /// negated when sigma falls. Ends outside the interval are clamped; an empty interval gives zeros.
  void noise(float* out, double sigma, double next);

 private:
  struct Node;
  void add(Node& node, double from, double to, float* out);
  void split(Node& node);
  void forget(Node& node) noexcept;
  void draw(uint32_t seed);

  NoiseSource source_;
  uint64_t seed_, query_ = 0;
  double low_, high_;
  std::vector<float> drawn_;
  std::unique_ptr<Node> root_;
};

}  // namespace sdgen
