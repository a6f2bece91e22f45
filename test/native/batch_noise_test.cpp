// The start of a batch: variations, other sizes' noise, and where later draws come from.
#include "sampling/batch_noise.h"

#include <cmath>
#include <cstring>

#include "check.h"

namespace {

using sdgen::BatchNoise;
using sdgen::NoisePlan;
using sdgen::NoiseSource;
using Values = std::vector<float>;

constexpr int64_t kChannels = 4, kHeight = 6, kWidth = 5;
constexpr size_t kEach = kChannels * kHeight * kWidth;

Values drawn(uint64_t seed, size_t count = kEach, int draws = 1) {
  const auto stream = sdgen::make_noise_stream(NoiseSource::kPhilox, seed);
  Values values(count);
  for (int i = 0; i < draws; ++i) stream->randn(values.data(), count);
  return values;
}

/// Image i of NHWC values, as [channels, height, width].
Values image(const float* nhwc, size_t i) {
  Values values(kEach);
  for (size_t p = 0; p < kHeight * kWidth; ++p) {
    for (size_t c = 0; c < kChannels; ++c) values[c * kHeight * kWidth + p] = nhwc[i * kEach + p * kChannels + c];
  }
  return values;
}

Values start(NoisePlan plan) { return image(BatchNoise(std::move(plan), kChannels, kHeight, kWidth).start(), 0); }

bool same(const Values& a, const Values& b) { return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size() * 4) == 0; }

size_t at(int64_t c, int64_t y, int64_t x, int64_t height = kHeight, int64_t width = kWidth) {
  return static_cast<size_t>((c * height + y) * width + x);
}

}  // namespace

TEST(batch_noise_turns_a_variation_by_channel_and_column) {
  const Values low = drawn(3), high = drawn(9), got = start({.seeds = {3}, .subseeds = {9}, .strength = 0.3});
  for (int64_t c = 0; c < kChannels; ++c) {
    for (int64_t x = 0; x < kWidth; ++x) {
      long double ll = 0, hh = 0, lh = 0;
      for (int64_t y = 0; y < kHeight; ++y) {
        const long double l = low[at(c, y, x)], h = high[at(c, y, x)];
        ll += l * l;
        hh += h * h;
        lh += l * h;
      }
      const long double angle = std::acos(lh / std::sqrt(ll * hh));
      for (int64_t y = 0; y < kHeight; ++y) {
        const long double want = (std::sin(0.7L * angle) * low[at(c, y, x)] + std::sin(0.3L * angle) * high[at(c, y, x)]) / std::sin(angle);
        CHECK_MSG(std::fabs(got[at(c, y, x)] - want) <= 1e-6L, c << ", " << y << ", " << x);
      }
    }
  }
}

TEST(batch_noise_variations_end_at_both_noises) {
  CHECK(same(start({.seeds = {3}, .subseeds = {9}, .strength = 0}), drawn(3)));
  const Values whole = start({.seeds = {3}, .subseeds = {9}, .strength = 1}), high = drawn(9);
  for (size_t i = 0; i < kEach; ++i) CHECK(std::fabs(whole[i] - high[i]) <= 1e-6f);
  // Of equal noises the webui's line with swapped weights is taken: it gives the same noise again.
  const Values equal = start({.seeds = {3}, .subseeds = {3}, .strength = 0.25}), low = drawn(3);
  for (size_t i = 0; i < kEach; ++i) CHECK(std::fabs(equal[i] - low[i]) <= 1e-6f);
  // Nearly equal ones show the swap.
  Values a = low, b = low;
  for (size_t i = 0; i < kEach; ++i) b[i] += 1e-3f * static_cast<float>(i % 3);
  const Values before = a;
  sdgen::slerp(a, b, 0.25, kChannels, kHeight, kWidth);
  for (size_t i = 0; i < kEach; ++i) CHECK(std::fabs(a[i] - (0.25f * before[i] + 0.75f * b[i])) <= 1e-6f);
}

TEST(batch_noise_turns_columns_of_one_value) {
  // One row: vectors of one value are parallel or opposite, where there is no angle to turn by.
  Values low{1.5f, -0.5f, 2.0f}, high{0.5f, 0.25f, -1.0f};
  sdgen::slerp(low, high, 0.25, 1, 1, 3);
  CHECK(low[0] == 0.75f * 1.5f + 0.25f * 0.5f);
  for (const float value : low) CHECK(std::isfinite(value));
}

TEST(batch_noise_keeps_the_middle_of_another_size) {
  // Smaller both ways, larger both ways, and one of each; odd differences too.
  for (const auto& [height, width] : {std::pair<int64_t, int64_t>{3, 2}, {9, 8}, {3, 8}, {6, 8}}) {
    const Values other = drawn(7, static_cast<size_t>(kChannels * height * width)), full = drawn(7);
    const Values got = start({.seeds = {7}, .resize_width = width, .resize_height = height});
    const int64_t dy = static_cast<int64_t>(std::floor(static_cast<double>(kHeight - height) / 2));
    const int64_t dx = static_cast<int64_t>(std::floor(static_cast<double>(kWidth - width) / 2));
    const int64_t rows = dy >= 0 ? height : height + 2 * dy, columns = dx >= 0 ? width : width + 2 * dx;
    const int64_t top = std::max<int64_t>(dy, 0), left = std::max<int64_t>(dx, 0);
    for (int64_t c = 0; c < kChannels; ++c) {
      for (int64_t y = 0; y < kHeight; ++y) {
        for (int64_t x = 0; x < kWidth; ++x) {
          const bool inside = y >= top && y < top + rows && x >= left && x < left + columns;
          const float want = inside ? other[at(c, y - dy, x - dx, height, width)] : full[at(c, y, x)];
          CHECK_MSG(got[at(c, y, x)] == want, height << "x" << width << " at " << c << ", " << y << ", " << x);
        }
      }
    }
  }
}

TEST(batch_noise_goes_on_from_its_seed_or_another) {
  BatchNoise own({.seeds = {3, 4}}, kChannels, kHeight, kWidth), other({.seeds = {3, 4}, .later_seeds = {31340, 31341}}, kChannels, kHeight, kWidth);
  BatchNoise resized({.seeds = {3, 4}, .subseeds = {1, 2}, .strength = 0.5, .resize_width = 3, .resize_height = 3}, kChannels, kHeight, kWidth);
  CHECK(same(image(own.start(), 1), drawn(4)) && same(image(other.start(), 1), drawn(4)));
  resized.start();
  const Values second = drawn(4, kEach, 2);
  CHECK(same(image(own.next(), 1), second) && same(image(resized.next(), 1), second));
  CHECK(same(image(other.next(), 0), drawn(31340)) && same(image(other.next(), 1), drawn(31341, kEach, 2)));
}
