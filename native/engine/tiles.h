#pragma once
// A picture decoded or encoded in tiles: where they lie, and how their overlaps are blended (docs/numerics.md, Tiles).
#include <cstdint>
#include <vector>

#include "engine/engine.h"
#include "graph/stages.h"

namespace sdgen {

/// One side cut into equal, overlapping pieces.
struct Cut {
  int64_t size = 0;             // of each piece; the whole side when there is one
  std::vector<int64_t> starts;  // ascending
  /// Where the blending of pieces i and i + 1 begins, i < pieces - 1; it is `overlap` long and lies inside both.
  std::vector<int64_t> blends;
};

/// Cuts `length` into the fewest pieces of `piece` that overlap by `overlap` or more, spread evenly.
/// 0 < 4·overlap <= piece, so that no place meets three. With length <= piece: one piece.
Cut cut_side(int64_t length, int64_t piece, int64_t overlap);
/// One piece where `tiling` has no tile.
Cut cut_for(int64_t length, const Tiling& tiling);

/// A latent's two sides, cut alike.
struct TileGrid {
  Cut rows, columns;
  int64_t tiles() const { return static_cast<int64_t>(rows.starts.size() * columns.starts.size()); }
};
TileGrid grid_for(int64_t width, int64_t height, const Tiling& tiling);
/// What a part takes that runs once for each tile: `one` is what a tile takes, `host_floats` lie beside it meanwhile.
StageMemory over_tiles(StageMemory one, const TileGrid& grid, int64_t host_floats);

/// Takes `next` (piece i + 1 of a cut, or piece 0) over into `whole`, whose elements before it are done: up to the blend
/// nothing changes, in it both are mixed, after it `next` stands alone. A step of the cut is `inner` floats (a pixel's
/// channels, or a row); an outer repetition is one row of a strip.
struct Blend {
  int64_t start, from, length;  // where `next` begins, where blending begins and how long it is (0: nothing before it)
  int64_t size;                 // of `next`
};
void blend_into(float* whole, const float* next, const Blend& blend, int64_t inner);

/// The blends of a cut's pieces in units of `scale` (latent cells to pixels).
std::vector<Blend> blends_of(const Cut& cut, int64_t overlap, int64_t scale);

}  // namespace sdgen
