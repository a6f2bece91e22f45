#pragma once
// Which tile and how many splits of k a product takes. The one table; no figure stands beside a row yet, because none was
// measured: the choice follows from the number of blocks alone.
#include <algorithm>
#include <cstdint>

#include "backends/cuda/fast/params.h"

namespace sdgen::cuda::fast {

struct TileChoice {
  const Kernel<ProductParams>* kernel;
  int64_t rows, columns;
  int64_t least_blocks;  // taken where one image gives as many
};
inline constexpr TileChoice kTiles[] = {
    {&kProductLarge, LargeTile::kRows, LargeTile::kColumns, 120},
    {&kProductMiddle, MiddleTile::kRows, MiddleTile::kColumns, 120},
    {&kProductSmall, SmallTile::kRows, SmallTile::kColumns, 0},
};
inline constexpr int64_t kWantedBlocks = 128;   // of one image, with its splits
inline constexpr int64_t kLeastSteps = 8;       // of a split
inline constexpr int64_t kMostSplits = 8;

/// By the shape of one image alone: neither the batch nor the card may change a sum.
inline const TileChoice& tile_for(int64_t rows_per_image, int64_t n) {
  for (const TileChoice& tile : kTiles) {
    const int64_t blocks = (rows_per_image + tile.rows - 1) / tile.rows * ((n + tile.columns - 1) / tile.columns);
    if (blocks >= tile.least_blocks) return tile;
  }
  return kTiles[std::size(kTiles) - 1];
}

/// Likewise.
inline int64_t splits_for(const TileChoice& tile, int64_t rows_per_image, int64_t n, int64_t steps) {
  const int64_t blocks = (rows_per_image + tile.rows - 1) / tile.rows * ((n + tile.columns - 1) / tile.columns);
  return std::clamp<int64_t>(std::min(kWantedBlocks / blocks, steps / kLeastSteps), 1, kMostSplits);
}

}  // namespace sdgen::cuda::fast
