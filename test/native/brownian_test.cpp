// The Brownian tree against torchsde's, as k-diffusion's samplers receive it.
#include "base/brownian_tree.h"

#include <cmath>
#include <cstring>
#include <string>
#include <vector>

#include "check.h"
#include "weights/store.h"

namespace {

using Values = std::vector<float>;
using sdgen::BrownianTree;
using sdgen::NoiseSource;

// Sums of up to 24 float32 values in another order than torchsde's, over normals that agree to 2e-6.
constexpr double kTolerance = 2e-6;

Values read(const sdgen::WeightStore& store, const std::string& name) {
  const sdgen::TensorInfo* tensor = store.find(name);
  CHECK_MSG(tensor != nullptr, name);
  Values values(static_cast<size_t>(tensor->elements()));
  store.read_raw(*tensor, 0, values.data(), tensor->bytes);
  return values;
}

Values increment(BrownianTree& tree, double sigma, double next, size_t count) {
  Values out(count);
  tree.noise(out.data(), sigma, next);
  return out;
}

}  // namespace

TEST(brownian_tree_gives_torchsdes_noise) {
  const auto store = sdgen::open_safetensors(sdgen_test::fixture("noise/brownian_tree.safetensors"));
  const Values sigmas = read(*store, "sigmas"), mids = read(*store, "mids");
  constexpr size_t kCount = 4 * 6 * 5;
  double worst = 0;
  int compared = 0;
  for (const auto& [name, source] : {std::pair{"cpu", NoiseSource::kTorchCpu}, std::pair{"nv", NoiseSource::kPhilox}}) {
    for (const uint64_t seed : {uint64_t{0}, uint64_t{1}, uint64_t{12345}, uint64_t{4294967295}}) {
      const std::string key = std::string(name) + ".s" + std::to_string(seed);
      const Values steps = read(*store, key + ".steps"), halves = read(*store, key + ".half");
      BrownianTree tree(source, seed, static_cast<double>(sigmas[9]), static_cast<double>(sigmas[0]), kCount);
      for (size_t i = 0; i < mids.size(); ++i) {
        const double from = static_cast<double>(sigmas[i]);
        const Values half = increment(tree, from, static_cast<double>(mids[i]), kCount);
        const Values step = increment(tree, from, static_cast<double>(sigmas[i + 1]), kCount);
        for (size_t k = 0; k < kCount; ++k) {
          worst = std::max(worst, static_cast<double>(std::fabs(half[k] - halves[i * kCount + k])));
          worst = std::max(worst, static_cast<double>(std::fabs(step[k] - steps[i * kCount + k])));
          ++compared;
        }
      }
    }
  }
  CHECK_MSG(worst <= kTolerance, worst);
  CHECK(compared == 8 * 9 * static_cast<int>(kCount));
}

TEST(brownian_tree_does_not_depend_on_what_was_asked_before) {
  const auto fresh = [] { return BrownianTree(NoiseSource::kPhilox, 3, 0.03, 14.6, 20); };
  BrownianTree busy = fresh();
  for (int i = 1; i < 60; ++i) increment(busy, 14.6 / i, 14.6 / (i + 1.5), 20);
  for (const auto& [from, to] : {std::pair{14.6, 0.03}, {9.25, 9.0}, {0.5, 0.031}, {0.1, 7.0}}) {
    BrownianTree tree = fresh();
    const Values alone = increment(tree, from, to, 20), after = increment(busy, from, to, 20);
    CHECK_MSG(std::memcmp(alone.data(), after.data(), 80) == 0, from << " to " << to);
  }
}

TEST(brownian_increments_add_up) {
  BrownianTree tree(NoiseSource::kTorchCpu, 8, 0.03, 14.6, 64);
  const auto w = [&](double from, double to) {
    Values values = increment(tree, from, to, 64);
    for (float& v : values) v *= static_cast<float>(std::sqrt(to - from));
    return values;
  };
  const Values whole = w(0.5, 12.0), low = w(0.5, 3.3), high = w(3.3, 12.0);
  double energy = 0;
  for (size_t i = 0; i < 64; ++i) {
    CHECK_MSG(std::fabs(low[i] + high[i] - whole[i]) < 2e-6, i);
    energy += static_cast<double>(whole[i]) * static_cast<double>(whole[i]);
  }
  // 64 values of variance 11.5: their mean square lies within four standard deviations.
  CHECK_MSG(std::fabs(energy / 64 / 11.5 - 1) < 4 * std::sqrt(2.0 / 64), energy);
  // Up is the negative of down; outside the interval nothing moves.
  const Values down = increment(tree, 12.0, 0.5, 64), up = increment(tree, 0.5, 12.0, 64);
  for (size_t i = 0; i < 64; ++i) CHECK(down[i] == -up[i]);
  for (const float value : increment(tree, 20.0, 14.6, 64)) CHECK(value == 0);
  for (const float value : increment(tree, 2.0, 2.0, 64)) CHECK(value == 0);
}

TEST(brownian_rounding_is_pythons) {
  using sdgen::round6;
  // Values of Python's round(x, 6): ties of the exact binary value go to even, near ties by the exact value.
  CHECK(round6(0.0078125) == 0.007812 && round6(0.0234375) == 0.023438 && round6(14.614641189575195) == 14.614641);
  CHECK(round6(0.0000005) == 0.0 && round6(0.0000015) == 0.000002 && round6(2.0000025) == 2.000002);
  CHECK(round6(1.0000005) == 1.000001 && round6(0.02916753850877285) == 0.029168 && round6(7.321904499999999) == 7.321904);
}

TEST(brownian_seed_words_are_numpys) {
  // numpy.random.SeedSequence(entropy, spawn_key, pool_size=24).generate_state(1)[0], NumPy 2.4.
  using sdgen::seed_sequence_word;
  CHECK(seed_sequence_word(0u, 0u, -1) == 4025752534u);
  CHECK(seed_sequence_word(12345u, 0u, 0) == 3924261748u);
  CHECK(seed_sequence_word(12345u, 5u, 3) == 173650277u);
  CHECK(seed_sequence_word(4294967303ull, 0u, -1) == 2407665294u);
  CHECK(seed_sequence_word(9007199254740991ull, 1099511627785ull, 41) == 320969079u);
  CHECK(seed_sequence_word(1u, 1u, 1) == 2299143983u);
}
