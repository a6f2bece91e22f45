#include "engine/tiles.h"

#include <algorithm>

#include "base/math.h"

namespace sdgen {

Cut cut_side(int64_t length, int64_t piece, int64_t overlap) {
  if (length <= piece) return {length, {0}, {}};
  const int64_t stride = piece - overlap, pieces = 1 + (length - piece + stride - 1) / stride;
  Cut cut{piece, {}, {}};
  for (int64_t i = 0; i < pieces; ++i) cut.starts.push_back(i * (length - piece) / (pieces - 1));
  for (size_t i = 0; i + 1 < cut.starts.size(); ++i) {
    const int64_t shared = cut.starts[i] + piece - cut.starts[i + 1];
    cut.blends.push_back(cut.starts[i + 1] + (shared - overlap) / 2);
  }
  return cut;
}

Cut cut_for(int64_t length, const Tiling& tiling) {
  return tiling.tile == 0 ? Cut{length, {0}, {}} : cut_side(length, tiling.tile, tiling.overlap);
}

TileGrid grid_for(int64_t width, int64_t height, const Tiling& tiling) { return {cut_for(height, tiling), cut_for(width, tiling)}; }

StageMemory over_tiles(StageMemory one, const TileGrid& grid, int64_t host_floats) {
  one.flops *= static_cast<double>(grid.tiles());
  one.bound_bytes += host_floats * static_cast<int64_t>(sizeof(float));
  return one;
}

std::vector<Blend> blends_of(const Cut& cut, int64_t overlap, int64_t scale) {
  std::vector<Blend> blends{{0, 0, 0, cut.size * scale}};
  for (size_t i = 0; i < cut.blends.size(); ++i) {
    blends.push_back({cut.starts[i + 1] * scale, cut.blends[i] * scale, overlap * scale, cut.size * scale});
  }
  return blends;
}

void blend_into(float* whole, const float* next, const Blend& blend, int64_t inner) {
  const int64_t after = blend.from + blend.length;
  for (int64_t p = blend.from; p < after; ++p) {
    // The middle of step p - from of `length` steps.
    const float weight = static_cast<float>(2 * (p - blend.from) + 1) / static_cast<float>(2 * blend.length);
    const float* b = next + (p - blend.start) * inner;
    float* a = whole + p * inner;
    for (int64_t i = 0; i < inner; ++i) a[i] = math::fma(weight, b[i] - a[i], a[i]);
  }
  std::copy(next + (after - blend.start) * inner, next + blend.size * inner, whole + after * inner);
}

}  // namespace sdgen
