// Structure of torchsde's BrownianInterval with round-off dyadic points (Li et al., Scalable Gradients for Stochastic
// Differential Equations, the virtual Brownian tree), as k-diffusion uses it.
#include "base/brownian_tree.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "base/fp_environment.h"

namespace sdgen {
namespace {

constexpr size_t kPool = 24;

/// The running multiplicative hash of SeedSequence.
class HashMix {
 public:
  uint32_t operator()(uint32_t value) noexcept {
    value ^= state_;
    state_ *= 0x931e8875u;
    value *= state_;
    return value ^ (value >> 16);
  }

 private:
  uint32_t state_ = 0x43b0d7e5u;
};

uint32_t mix(uint32_t x, uint32_t y) noexcept {
  const uint32_t r = 0xca01f9ddu * x - 0x4973f715u * y;
  return r ^ (r >> 16);
}

/// Appends the little-endian words of x, at least one; returns the new count.
size_t append_words(std::array<uint32_t, 8>& to, size_t count, uint64_t x) noexcept {
  to[count++] = static_cast<uint32_t>(x);
  if (x >> 32 != 0) to[count++] = static_cast<uint32_t>(x >> 32);
  return count;
}

}  // namespace

uint32_t seed_sequence_word(uint64_t entropy, uint64_t key, int depth) noexcept {
  std::array<uint32_t, 8> words{}, further{};
  append_words(words, 0, entropy);
  size_t more = 0;
  if (depth >= 0) more = append_words(further, append_words(further, 0, key), static_cast<uint64_t>(depth));
  HashMix hash;
  std::array<uint32_t, kPool> pool{};
  for (size_t i = 0; i < kPool; ++i) pool[i] = hash(i < words.size() ? words[i] : 0);
  for (size_t i = 0; i < kPool; ++i) {
    for (size_t j = 0; j < kPool; ++j) {
      if (i != j) pool[j] = mix(pool[j], hash(pool[i]));
    }
  }
  for (size_t w = 0; w < more; ++w) {
    for (uint32_t& value : pool) value = mix(value, hash(further[w]));
  }
  uint32_t v = (pool[0] ^ 0x8b51f9ddu) * (0x8b51f9ddu * 0x58f38dedu);
  return v ^ (v >> 16);
}

double round6(double x) noexcept {
  constexpr double kUnit = 1e6;
  const double product = x * kUnit;
  double whole = std::floor(product);
  // The exact product's part above `whole`: the rounding error of the product is exact under fma.
  const double above = (product - whole) - 0.5, rest = std::fma(x, kUnit, -product);
  const double from_half = above + rest;
  const bool odd = std::floor(whole / 2) * 2 != whole;
  if (from_half > 0 || (from_half == 0 && odd)) whole += 1;
  return whole / kUnit;
}

struct BrownianTree::Node {
  double low, high;  // rounded
  uint64_t key;
  int depth;
  std::vector<float> w;
  std::unique_ptr<Node> left, right;
  uint64_t last_query = 0;
};

BrownianTree::BrownianTree(NoiseSource source, uint64_t seed, double low, double high, size_t count)
    : source_(source), seed_(seed), low_(round6(low)), high_(round6(high)), drawn_(count) {
  draw(seed_sequence_word(seed, 0, -1));
  root_ = std::make_unique<Node>(Node{low_, high_, 0, 0, drawn_, nullptr, nullptr});
  const auto scale = static_cast<float>(std::sqrt(high - low));
  for (float& value : root_->w) value = scale * value;
}

BrownianTree::~BrownianTree() = default;
BrownianTree::BrownianTree(BrownianTree&&) noexcept = default;

void BrownianTree::draw(uint32_t seed) { make_noise_stream(source_, seed)->randn(drawn_.data(), drawn_.size()); }

void BrownianTree::split(Node& node) {
  const double middle = round6((node.low + node.high) / 2), length = node.high - node.low;
  draw(seed_sequence_word(seed_, node.key, node.depth));
  const double below = middle - node.low, above = node.high - middle;
  const auto share = static_cast<float>(below / length);
  const auto spread = static_cast<float>(std::sqrt(below * above / length));
  const size_t count = node.w.size();
  node.left = std::make_unique<Node>(Node{node.low, middle, 2 * node.key, node.depth + 1, std::vector<float>(count), nullptr, nullptr});
  node.right = std::make_unique<Node>(Node{middle, node.high, 2 * node.key + 1, node.depth + 1, std::vector<float>(count), nullptr, nullptr});
  for (size_t i = 0; i < count; ++i) {
    const float left = std::fma(spread, drawn_[i], share * node.w[i]);
    node.left->w[i] = left;
    node.right->w[i] = node.w[i] - left;
  }
}

void BrownianTree::add(Node& node, double from, double to, float* out) {
  node.last_query = query_;
  if (from <= node.low && to >= node.high) {
    for (size_t i = 0; i < node.w.size(); ++i) out[i] = out[i] + node.w[i];
    return;
  }
  if (!node.left) split(node);
  // All ends are multiples of 1e-6, so a node of that length is never cut again.
  if (from < node.left->high) add(*node.left, from, std::min(to, node.left->high), out);
  if (to > node.right->low) add(*node.right, std::max(from, node.right->low), to, out);
}

/// Drops what neither this query nor the one before needed: the next step starts where one of them ended.
void BrownianTree::forget(Node& node) noexcept {
  if (!node.left) return;
  if (node.left->last_query + 1 < query_ && node.right->last_query + 1 < query_) {
    node.left.reset();
    node.right.reset();
    return;
  }
  forget(*node.left);
  forget(*node.right);
}

void BrownianTree::noise(float* out, double sigma, double next) {
  const FpEnvironment environment;
  std::fill(out, out + drawn_.size(), 0.0f);
  const double from = std::clamp(round6(std::min(sigma, next)), low_, high_);
  const double to = std::clamp(round6(std::max(sigma, next)), low_, high_);
  const double length = std::fabs(sigma - next);
  if (!(from < to)) return;
  ++query_;
  add(*root_, from, to, out);
  forget(*root_);
  const auto scale = static_cast<float>((next < sigma ? -1.0 : 1.0) / std::sqrt(length));
  for (size_t i = 0; i < drawn_.size(); ++i) out[i] = scale * out[i];
}

}  // namespace sdgen
