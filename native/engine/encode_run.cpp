#include "engine/encode_run.h"

#include <algorithm>
#include <memory>

#include "base/fp_environment.h"
#include "engine/layout.h"
#include "engine/tiles.h"
#include "models/vae.h"

namespace sdgen {
namespace {

constexpr int64_t kRgb = 3;
constexpr float kLeastLogvar = -30.0f, kMostLogvar = 20.0f;  // as the original code clamps it

/// The VAE's encoder for one size of tile on one runner.
class Encoder {
 public:
  /// `width` and `height` in latent cells.
  Encoder(ModelRunner& runner, const VaeConfig& config, int64_t width, int64_t height, const Tiling& tiling, const RunControl& control)
      : runner_(runner), control_(control), values_(2 * config.latent_channels), scale_(config.scale()), width_(width), height_(height),
        grid_(grid_for(width, height, tiling)), row_blends_(blends_of(grid_.rows, tiling.overlap, 1)),
        column_blends_(blends_of(grid_.columns, tiling.overlap, 1)),
        program_(runner.load(build_vae_encoder(config, 1, grid_.rows.size * scale_, grid_.columns.size * scale_), control.cancel)) {}

  /// Means and logarithms of variances [height, width, values] of a picture; false if a value is not finite. Tiles of a strip
  /// are blended along x, strips along y, each in ascending order.
  bool encode(const Picture& picture, std::vector<float>& moments) {
    if (grid_.tiles() == 1) return run_tile(picture, 0, 0, moments);
    const int64_t line = width_ * values_, tile_line = grid_.columns.size * values_;
    std::vector<float> strip(static_cast<size_t>(grid_.rows.size * line)), tile;
    moments.resize(static_cast<size_t>(height_ * line));
    for (size_t r = 0; r < grid_.rows.starts.size(); ++r) {
      for (size_t c = 0; c < grid_.columns.starts.size(); ++c) {
        if (!run_tile(picture, grid_.rows.starts[r], grid_.columns.starts[c], tile)) return false;
        for (int64_t y = 0; y < grid_.rows.size; ++y) blend_into(strip.data() + y * line, tile.data() + y * tile_line, column_blends_[c], values_);
      }
      blend_into(moments.data(), strip.data(), row_blends_[r], line);
    }
    return true;
  }

 private:
  bool run_tile(const Picture& picture, int64_t top, int64_t left, std::vector<float>& moments) {
    const int64_t line = picture.width * kRgb, tile_line = grid_.columns.size * scale_ * kRgb;
    std::vector<float> pixels;
    pixels.reserve(static_cast<size_t>(grid_.rows.size * scale_ * tile_line));
    for (int64_t y = 0; y < grid_.rows.size * scale_; ++y) {
      const float* row = picture.rgb.data() + (top * scale_ + y) * line + left * scale_ * kRgb;
      pixels.insert(pixels.end(), row, row + tile_line);
    }
    program_.upload("image", pixels.data(), static_cast<int64_t>(pixels.size() * sizeof(float)));
    runner_.run(program_, control_);
    const VectorView out = program_.vector("vae.moments");
    if (!runner_.backend().all_finite(out)) return false;
    moments.resize(static_cast<size_t>(out.count));
    runner_.backend().download(*out.buffer, out.offset * 4, moments.data(), out.count * 4);
    return true;
  }

  ModelRunner& runner_;
  const RunControl& control_;
  int64_t values_, scale_, width_, height_;  // of a cell: mean and variance of each channel
  TileGrid grid_;
  std::vector<Blend> row_blends_, column_blends_;
  LoadedProgram program_;
};

}  // namespace

StageMemory encode_memory(const ModelRunner& runner, const VaeConfig& config, int64_t width, int64_t height, const Tiling& tiling) {
  const TileGrid grid = grid_for(width, height, tiling);
  const int64_t scale = config.scale();
  const StageMemory tile = runner.memory(build_vae_encoder(config, 1, grid.rows.size * scale, grid.columns.size * scale));
  // The picture, a tile of it, and the moments of both.
  const int64_t cell = scale * scale * kRgb + 2 * config.latent_channels;
  return over_tiles(tile, grid, cell * (width * height + grid.rows.size * grid.columns.size));
}

Moments run_encode(ModelRunner& runner, const ExactRunner& exact, const VaeConfig& config, const EncodeRequest& request,
                   const RunControl& control) {
  const FpEnvironment environment;
  const std::vector<Picture>& pictures = request.pictures;
  const int64_t channels = config.latent_channels, scale = config.scale();
  const int64_t width = pictures[0].width / scale, height = pictures[0].height / scale, cells = width * height;
  ExactRetry<Encoder> encoder(runner, exact, [&](ModelRunner& on) {
    return std::make_unique<Encoder>(on, config, width, height, request.tiling, control);
  });
  const Latent empty{{}, static_cast<int64_t>(pictures.size()), channels, height, width};
  Moments moments{empty, empty};
  std::vector<float> nhwc, nchw(static_cast<size_t>(2 * channels * cells));
  for (const Picture& picture : pictures) {
    const bool retried = encoder.run([&](Encoder& on) { return on.encode(picture, nhwc); },
                                     "the VAE's encoder gave a value that is not a finite number");
    moments.retried_in_fp32 = moments.retried_in_fp32 || retried;
    nhwc_to_nchw(nhwc.data(), nchw.data(), 1, 2 * channels, cells);
    const auto half = nchw.begin() + channels * cells;
    moments.mean.data.insert(moments.mean.data.end(), nchw.begin(), half);
    for (auto value = half; value != nchw.end(); ++value) moments.logvar.data.push_back(std::clamp(*value, kLeastLogvar, kMostLogvar));
  }
  return moments;
}

}  // namespace sdgen
