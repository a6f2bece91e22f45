#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/noise.h"
#include "base/rng_mt19937.h"
#include "check.h"
#include "weights/store.h"

namespace {

using Values = std::vector<float>;

// The fixtures' float64 (Philox) and vectorised float32 (torch) evaluations differ from ours by roundings only.
constexpr double kTolerance = 2e-6;

std::shared_ptr<const sdgen::WeightStore> open_fixture(const std::string& name) {
  return sdgen::open_safetensors(sdgen_test::fixture("noise/" + name + ".safetensors"));
}

std::vector<int32_t> read_words(const sdgen::WeightStore& store, const sdgen::TensorInfo& tensor) {
  std::vector<int32_t> words(static_cast<size_t>(tensor.elements()));
  store.read_raw(tensor, 0, words.data(), tensor.bytes);
  return words;
}

void check_close(const Values& got, size_t from, const Values& expected, const std::string& what) {
  CHECK_MSG(from + expected.size() <= got.size(), what);
  for (size_t i = 0; i < expected.size() && from + i < got.size(); ++i) {
    CHECK_MSG(std::fabs(got[from + i] - expected[i]) <= kTolerance,
              what << "[" << i << "]: " << got[from + i] << ", expected " << expected[i]);
  }
}

Values draw(sdgen::NoiseStream& stream, size_t count) {
  Values values(count);
  stream.randn(values.data(), count);
  return values;
}

std::string seed_key(uint64_t seed, const char* rest) {
  std::string key = "s";
  key += std::to_string(seed);
  return key += rest;
}

uint64_t seed_of(const std::string& key) { return std::stoull(key.substr(1)); }

/// Elements of a shape such as 1x4x8x9.
size_t shape_size(const std::string& shape) {
  size_t size = 1, at = 0;
  while (at < shape.size()) {
    size *= std::stoull(shape.substr(at));
    at = std::min(shape.find('x', at), shape.size() - 1) + 1;
  }
  return size;
}

}  // namespace

TEST(noise_philox_words_are_exact) {
  const auto store = open_fixture("philox_randn");
  int compared = 0;
  for (const sdgen::TensorInfo& tensor : store->tensors()) {
    if (!tensor.name.ends_with(".u32")) continue;
    const uint32_t number = static_cast<uint32_t>(std::stoul(tensor.name.substr(tensor.name.find("draw") + 4)));
    const std::vector<int32_t> expected = read_words(*store, tensor);
    const size_t count = expected.size() / 2;
    for (size_t i = 0; i < count; ++i) {
      uint32_t words[4];
      sdgen::philox_words(seed_of(tensor.name), number, static_cast<uint32_t>(i), words);
      const uint32_t g0 = static_cast<uint32_t>(expected[i]), g1 = static_cast<uint32_t>(expected[count + i]);
      CHECK_MSG(words[0] == g0 && words[1] == g1, tensor.name << " element " << i);
      ++compared;
    }
  }
  CHECK_MSG(compared == 15 * 256, compared);
}

TEST(noise_philox_cipher_known_answer) {
  // The all-zero vector of the paper's own test suite.
  uint32_t words[4];
  sdgen::philox_words(0, 0, 0, words);
  const uint32_t expected[4] = {0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8};
  CHECK(std::memcmp(words, expected, sizeof words) == 0);
}

TEST(noise_philox_normals_and_draws) {
  const auto store = open_fixture("philox_randn");
  int compared = 0;
  constexpr uint64_t kSeeds[] = {0, 1, 1234, 4294967295, 1099511627781};
  for (const uint64_t seed : kSeeds) {
    const auto stream = sdgen::make_philox_stream(seed);
    for (int number = 0; number <= 7; ++number) {
      const Values got = draw(*stream, 16384);
      const std::string key = seed_key(seed, ".draw") + std::to_string(number);
      const sdgen::TensorInfo* head = store->find(key);
      const sdgen::TensorInfo* tail = store->find(key + ".tail");
      if (head == nullptr || tail == nullptr) continue;
      check_close(got, 0, sdgen::read_all_f32(*store, *head), key);
      check_close(got, 16384 - 32, sdgen::read_all_f32(*store, *tail), key + ".tail");
      ++compared;
    }
  }
  CHECK_MSG(compared == 15, compared);
}

TEST(noise_torch_shapes_and_second_draws) {
  const auto store = open_fixture("torch_randn_cpu");
  int compared = 0;
  for (const sdgen::TensorInfo& tensor : store->tensors()) {
    // Keys s<seed>.<shape> only; their companions (.second, .last, .sum) are looked up below.
    const size_t dot = tensor.name.find('.');
    const std::string shape = tensor.name.substr(dot + 1);
    if (shape.find('.') != std::string::npos || shape == "mixed") continue;
    const size_t count = shape_size(shape);
    const auto stream = sdgen::make_torch_cpu_stream(seed_of(tensor.name));
    for (const std::string& suffix : {std::string(), std::string(".second")}) {
      const std::string key = tensor.name + suffix;
      const Values got = draw(*stream, count);
      const sdgen::TensorInfo* head = store->find(key);
      const sdgen::TensorInfo* last = store->find(key + ".last");
      const sdgen::TensorInfo* sum = store->find(key + ".sum");
      CHECK_MSG(head != nullptr && last != nullptr && sum != nullptr, key);
      if (head == nullptr || last == nullptr || sum == nullptr) continue;
      check_close(got, 0, sdgen::read_all_f32(*store, *head), key);
      const Values last_values = sdgen::read_all_f32(*store, *last);
      check_close(got, count - last_values.size(), last_values, key + ".last");
      double expected_sum = 0, got_sum = 0;
      store->read_raw(*sum, 0, &expected_sum, sizeof expected_sum);
      for (const float value : got) got_sum += value;
      // Roundings of torch's float32 add up to some 2e-8 a value; one wrong value would show as 0.01 and more.
      CHECK_MSG(std::fabs(got_sum - expected_sum) <= 1e-5 + 5e-8 * static_cast<double>(count),
                key << " sum " << got_sum << ", expected " << expected_sum);
      ++compared;
    }
  }
  // 6 seeds, 8 shapes, 2 draws.
  CHECK_MSG(compared == 96, compared);
}

TEST(noise_torch_mixed_sequence) {
  // randn(3), randn(20), randn(5), randn(16), rand(4), randn(1): the kept normal survives the blocks in between.
  const auto store = open_fixture("torch_randn_cpu");
  int compared = 0;
  constexpr uint64_t kSeeds[] = {0, 1, 42, 12345, 4294967295, 4294967303};
  for (const uint64_t seed : kSeeds) {
    const sdgen::TensorInfo* tensor = store->find(seed_key(seed, ".mixed"));
    CHECK_MSG(tensor != nullptr, seed);
    if (tensor == nullptr) continue;
    sdgen::TorchCpuGenerator generator(seed);
    Values got(49);
    generator.randn(got.data(), 3);
    generator.randn(got.data() + 3, 20);
    generator.randn(got.data() + 23, 5);
    generator.randn(got.data() + 28, 16);
    generator.rand(got.data() + 44, 4);
    generator.randn(got.data() + 48, 1);
    const Values expected = sdgen::read_all_f32(*store, *tensor);
    check_close(got, 0, expected, tensor->name);
    CHECK_MSG(expected.size() == 49 && std::memcmp(got.data() + 44, expected.data() + 44, 16) == 0, "rand is exact");
    ++compared;
  }
  CHECK_MSG(compared == 6, compared);
}

TEST(noise_mt19937_words) {
  // The published check value of MT19937 with seed 5489: its 10000th word.
  sdgen::Mt19937 twister(5489);
  uint32_t word = 0;
  for (int i = 0; i < 10000; ++i) word = twister.next();
  CHECK_MSG(word == 4123659995u, word);
}

TEST(noise_streams_are_independent_of_each_other) {
  constexpr uint64_t kLargest = (uint64_t{1} << 53) - 1;
  for (const auto make : {sdgen::make_philox_stream, sdgen::make_torch_cpu_stream}) {
    const auto first = make(kLargest), second = make(kLargest), other = make(kLargest - 1);
    const Values a = draw(*first, 64), after = draw(*first, 64), c = draw(*other, 64), b = draw(*second, 64);
    CHECK(a == b);
    CHECK(a != c);
    CHECK(a != after);
    for (const float value : a) CHECK(std::isfinite(value) && std::fabs(value) < 7.0f);
  }
}

TEST(noise_draws_of_zero_values) {
  const auto philox = sdgen::make_philox_stream(0), torch = sdgen::make_torch_cpu_stream(0);
  philox->randn(nullptr, 0);
  torch->randn(nullptr, 0);
  // A Philox draw counts even when empty (each call is one); torch's takes no word.
  CHECK(std::fabs(draw(*philox, 1)[0] - 0.1808f) < 1e-4f);
  CHECK(std::fabs(draw(*torch, 16)[0] - -1.1258f) < 1e-4f);
}
