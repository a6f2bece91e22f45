#include "sampling/latent_resize.h"

#include <algorithm>
#include <cmath>

#include "base/fp_environment.h"
#include "base/math.h"

namespace sdgen {
namespace {

struct Tap {
  int64_t from;
  float weight;
};
using Taps = std::vector<std::vector<Tap>>;  // of each output cell, in the order of the sum

/// Keys' cubic convolution: torch has a = -3/4 without antialiasing, -1/2 with it.
double cubic(double x, double a) {
  const double d = std::abs(x);
  if (d < 1) return ((a + 2) * d - (a + 3)) * d * d + 1;
  return d < 2 ? ((a * d - 5 * a) * d + 8 * a) * d - 4 * a : 0;
}
double triangle(double x) { return std::max(0.0, 1 - std::abs(x)); }

int64_t inside(int64_t place, int64_t count) { return std::clamp<int64_t>(place, 0, count - 1); }

Taps nearest_taps(int64_t from, int64_t to, bool exact) {
  Taps taps(static_cast<size_t>(to));
  // torch's product of two float32 values; it is not always the integers' quotient.
  const float scale = static_cast<float>(from) / static_cast<float>(to);
  for (int64_t i = 0; i < to; ++i) {
    const int64_t place = exact ? (2 * i + 1) * from / (2 * to) : static_cast<int64_t>(std::floor(static_cast<float>(i) * scale));
    taps[static_cast<size_t>(i)] = {{inside(place, from), 1.0f}};
  }
  return taps;
}

/// Two or four neighbours of the new cell's middle; beyond the edge stands the edge.
Taps interpolated_taps(int64_t from, int64_t to, bool is_cubic) {
  Taps taps(static_cast<size_t>(to));
  const double scale = static_cast<double>(from) / static_cast<double>(to);
  for (int64_t i = 0; i < to; ++i) {
    double middle = (static_cast<double>(i) + 0.5) * scale - 0.5;
    if (!is_cubic) middle = std::max(0.0, middle);
    const double floor = std::floor(middle), t = middle - floor;
    const auto first = static_cast<int64_t>(floor);
    std::vector<Tap>& row = taps[static_cast<size_t>(i)];
    for (int64_t k = is_cubic ? -1 : 0; k <= (is_cubic ? 2 : 1); ++k) {
      const double distance = t - static_cast<double>(k);
      row.push_back({inside(first + k, from), static_cast<float>(is_cubic ? cubic(distance, -0.75) : triangle(distance))});
    }
  }
  return taps;
}

/// A kernel as wide as the reduction asks for, its weights scaled to a sum of 1.
Taps antialiased_taps(int64_t from, int64_t to, bool is_cubic) {
  Taps taps(static_cast<size_t>(to));
  const double scale = static_cast<double>(from) / static_cast<double>(to), stretch = std::max(1.0, scale);
  const double support = (is_cubic ? 2 : 1) * stretch;
  for (int64_t i = 0; i < to; ++i) {
    const double middle = (static_cast<double>(i) + 0.5) * scale;
    const int64_t first = std::max<int64_t>(0, static_cast<int64_t>(middle - support + 0.5));
    const int64_t end = std::min(from, static_cast<int64_t>(middle + support + 0.5));
    std::vector<double> weights;
    double sum = 0;
    for (int64_t j = first; j < end; ++j) {
      const double x = (static_cast<double>(j) - middle + 0.5) / stretch;
      weights.push_back(is_cubic ? cubic(x, -0.5) : triangle(x));
      sum += weights.back();
    }
    for (int64_t j = first; j < end; ++j) {
      const double weight = weights[static_cast<size_t>(j - first)];
      taps[static_cast<size_t>(i)].push_back({j, static_cast<float>(weight / sum)});
    }
  }
  return taps;
}

Taps taps_of(int64_t from, int64_t to, LatentResize mode) {
  switch (mode) {
    case LatentResize::kBilinear: return interpolated_taps(from, to, false);
    case LatentResize::kBicubic: return interpolated_taps(from, to, true);
    case LatentResize::kBilinearAntialiased: return antialiased_taps(from, to, false);
    case LatentResize::kBicubicAntialiased: return antialiased_taps(from, to, true);
    case LatentResize::kNearest: return nearest_taps(from, to, false);
    case LatentResize::kNearestExact: break;
  }
  return nearest_taps(from, to, true);
}

/// One side of [outer, from, inner] becomes that of the taps.
std::vector<float> along(const std::vector<float>& values, int64_t outer, int64_t from, int64_t inner, const Taps& taps) {
  const auto to = static_cast<int64_t>(taps.size());
  std::vector<float> out(static_cast<size_t>(outer * to * inner), 0.0f);
  for (int64_t o = 0; o < outer; ++o) {
    for (int64_t i = 0; i < to; ++i) {
      float* sums = out.data() + (o * to + i) * inner;
      for (const Tap& tap : taps[static_cast<size_t>(i)]) {
        const float* row = values.data() + (o * from + tap.from) * inner;
        for (int64_t k = 0; k < inner; ++k) sums[k] = math::fma(tap.weight, row[k], sums[k]);
      }
    }
  }
  return out;
}

}  // namespace

std::vector<float> resize_planes(const std::vector<float>& values, int64_t planes, int64_t height, int64_t width,
                                 int64_t to_height, int64_t to_width, LatentResize mode) {
  const FpEnvironment environment;
  std::vector<float> resized = values;
  if (to_width != width) resized = along(resized, planes * height, width, 1, taps_of(width, to_width, mode));
  if (to_height != height) resized = along(resized, planes, height, to_width, taps_of(height, to_height, mode));
  return resized;
}

}  // namespace sdgen
