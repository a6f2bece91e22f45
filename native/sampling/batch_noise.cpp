#include "sampling/batch_noise.h"

#include <algorithm>
#include <cmath>

#include "base/fp_environment.h"
#include "base/math.h"

namespace sdgen {
namespace {

std::vector<float> drawn_by(NoiseSource source, uint64_t seed, int64_t count) {
  std::vector<float> values(static_cast<size_t>(count));
  make_noise_stream(source, seed)->randn(values.data(), values.size());
  return values;
}

/// Of a channel and column: its weights of low and high.
struct Turn {
  double low, high;
};

Turn turn(double cosine, double strength) {
  const double inside = cosine < -1 ? -1 : cosine > 1 ? 1 : cosine;
  const double angle = 2 * math::atan_f64(std::sqrt((1 - inside) / (1 + inside))), sine = math::sin_f64(angle);
  if (!(sine > 0)) return {1 - strength, strength};  // one direction, or opposite ones: no plane to turn in
  return {math::sin_f64((1 - strength) * angle) / sine, math::sin_f64(strength * angle) / sine};
}

/// Floor of a half, of negative numbers too.
int64_t half(int64_t x) { return x >= 0 ? x / 2 : -((1 - x) / 2); }

/// Where a length of `inner` goes in one of `outer`: read from `from`, write to `to`, `count` cells.
struct Span {
  int64_t from, to, count;
};
Span centred(int64_t inner, int64_t outer) {
  const int64_t d = half(outer - inner);
  return d >= 0 ? Span{0, d, inner} : Span{-d, 0, inner + 2 * d};
}

}  // namespace

void slerp(std::vector<float>& low, const std::vector<float>& high, double strength, int64_t channels, int64_t height,
           int64_t width) {
  const auto columns = static_cast<size_t>(channels * width);
  const auto at = [&](size_t column, int64_t row) {
    const auto channel = static_cast<int64_t>(column) / width, x = static_cast<int64_t>(column) % width;
    return static_cast<size_t>((channel * height + row) * width + x);
  };
  std::vector<double> cosines(columns);
  double sum = 0;
  for (size_t c = 0; c < columns; ++c) {
    double ll = 0, hh = 0, lh = 0;
    for (int64_t row = 0; row < height; ++row) {
      const auto l = static_cast<double>(low[at(c, row)]), h = static_cast<double>(high[at(c, row)]);
      ll = std::fma(l, l, ll);
      hh = std::fma(h, h, hh);
      lh = std::fma(l, h, lh);
    }
    const double norms = std::sqrt(ll) * std::sqrt(hh);
    cosines[c] = norms > 0 ? lh / norms : 0;
    sum += cosines[c];
  }
  // The webui's line for nearly equal noises has the weights swapped; kept, for the same pictures.
  const bool equal = sum / static_cast<double>(columns) > 0.9995;
  for (size_t c = 0; c < columns; ++c) {
    const Turn weights = equal ? Turn{strength, 1 - strength} : turn(cosines[c], strength);
    for (int64_t row = 0; row < height; ++row) {
      float& value = low[at(c, row)];
      value = static_cast<float>(weights.low * static_cast<double>(value) + weights.high * static_cast<double>(high[at(c, row)]));
    }
  }
}

void paste_centred(const std::vector<float>& middle, int64_t middle_height, int64_t middle_width, std::vector<float>& onto,
                   int64_t height, int64_t width, int64_t channels) {
  const Span x = centred(middle_width, width), y = centred(middle_height, height);
  for (int64_t c = 0; c < channels; ++c) {
    for (int64_t row = 0; row < y.count; ++row) {
      const float* from = middle.data() + (c * middle_height + y.from + row) * middle_width + x.from;
      std::copy(from, from + x.count, onto.data() + (c * height + y.to + row) * width + x.to);
    }
  }
}

BatchNoise::BatchNoise(NoisePlan plan, int64_t channels, int64_t height, int64_t width)
    : plan_(std::move(plan)), channels_(channels), height_(height), width_(width) {
  drawn_.resize(static_cast<size_t>(channels * height * width) * plan_.seeds.size());
  ordered_.resize(drawn_.size());
}

/// The start of one image, and its stream for later draws.
std::vector<float> BatchNoise::first(size_t image) {
  const uint64_t seed = plan_.seeds[image];
  const bool resized = plan_.resize_width > 0 && plan_.resize_height > 0 &&
                       (plan_.resize_width != width_ || plan_.resize_height != height_);
  const int64_t height = resized ? plan_.resize_height : height_, width = resized ? plan_.resize_width : width_;
  std::vector<float> full(static_cast<size_t>(channels_ * height_ * width_));
  streams_.push_back(make_noise_stream(plan_.source, seed));
  streams_.back()->randn(full.data(), full.size());
  std::vector<float> noise = resized ? drawn_by(plan_.source, seed, channels_ * height * width) : full;
  if (!plan_.subseeds.empty() && plan_.strength != 0) {
    slerp(noise, drawn_by(plan_.source, plan_.subseeds[image], channels_ * height * width), plan_.strength, channels_, height, width);
  }
  if (!plan_.later_seeds.empty()) streams_.back() = make_noise_stream(plan_.source, plan_.later_seeds[image]);
  if (!resized) return noise;
  paste_centred(noise, height, width, full, height_, width_, channels_);
  return full;
}

const float* BatchNoise::start() {
  const FpEnvironment environment;
  for (size_t i = 0; i < plan_.seeds.size(); ++i) {
    const std::vector<float> noise = first(i);
    std::copy(noise.begin(), noise.end(), drawn_.begin() + static_cast<std::ptrdiff_t>(i * noise.size()));
  }
  return ordered();
}

const float* BatchNoise::next() {
  const size_t each = drawn_.size() / streams_.size();
  for (size_t i = 0; i < streams_.size(); ++i) streams_[i]->randn(drawn_.data() + i * each, each);
  return ordered();
}

const float* BatchNoise::brownian(double sigma, double next, double low, double high) {
  const size_t each = drawn_.size() / plan_.seeds.size();
  if (trees_.empty()) {
    for (const uint64_t seed : plan_.seeds) trees_.emplace_back(plan_.source, seed, low, high, each);
  }
  for (size_t i = 0; i < trees_.size(); ++i) trees_[i].noise(drawn_.data() + i * each, sigma, next);
  return ordered();
}

const float* BatchNoise::ordered() {
  const int64_t pixels = height_ * width_, each = channels_ * pixels;
  for (int64_t n = 0; n < static_cast<int64_t>(plan_.seeds.size()); ++n) {
    for (int64_t p = 0; p < pixels; ++p) {
      for (int64_t c = 0; c < channels_; ++c) ordered_[static_cast<size_t>(n * each + p * channels_ + c)] = drawn_[static_cast<size_t>(n * each + c * pixels + p)];
    }
  }
  return ordered_.data();
}

}  // namespace sdgen
