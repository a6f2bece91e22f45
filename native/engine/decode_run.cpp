#include "engine/decode_run.h"

#include <algorithm>
#include <memory>

#include "base/fp_environment.h"
#include "engine/layout.h"
#include "engine/tiles.h"
#include "models/vae.h"

namespace sdgen {
namespace {

constexpr int64_t kRgb = 3;

/// The VAE's decoder for one size of tile on one runner.
class Decoder {
 public:
  Decoder(ModelRunner& runner, const VaeConfig& config, const DecodeRequest& request, const RunControl& control)
      : runner_(runner), control_(control), channels_(config.latent_channels), scale_(config.scale()), width_(request.latent.width),
        grid_(grid_for(request.latent.width, request.latent.height, request.tiling)),
        row_blends_(blends_of(grid_.rows, request.tiling.overlap, scale_)), column_blends_(blends_of(grid_.columns, request.tiling.overlap, scale_)),
        program_(runner.load(build_vae_decoder(config, 1, grid_.rows.size, grid_.columns.size), control.cancel)) {}

  /// [height, width, channels] to pixels; false if a value is not finite.
  bool decode(const float* latent, std::vector<uint8_t>& rgb) {
    if (grid_.tiles() == 1) {
      if (!run_tile(latent, 0, 0)) return false;
      runner_.backend().to_rgb8(program_.vector("vae.decoded"), rgb.data());
      return true;
    }
    return decode_tiles(latent, rgb);
  }

 private:
  bool run_tile(const float* latent, int64_t top, int64_t left) {
    std::vector<float> z;
    z.reserve(static_cast<size_t>(grid_.rows.size * grid_.columns.size * channels_));
    for (int64_t y = 0; y < grid_.rows.size; ++y) {
      const float* row = latent + ((top + y) * width_ + left) * channels_;
      z.insert(z.end(), row, row + grid_.columns.size * channels_);
    }
    program_.upload("z", z.data(), static_cast<int64_t>(z.size() * sizeof(float)));
    runner_.run(program_, control_);
    return runner_.backend().all_finite(program_.vector("vae.decoded"));
  }

  /// Tiles of a strip are blended along x, strips along y, each in ascending order.
  bool decode_tiles(const float* latent, std::vector<uint8_t>& rgb) {
    const int64_t line = width_ * scale_ * kRgb, tile_line = grid_.columns.size * scale_ * kRgb, lines = grid_.rows.size * scale_;
    std::vector<float> picture(rgb.size()), strip(static_cast<size_t>(lines * line)), tile(static_cast<size_t>(lines * tile_line));
    for (size_t r = 0; r < grid_.rows.starts.size(); ++r) {
      for (size_t c = 0; c < grid_.columns.starts.size(); ++c) {
        if (!run_tile(latent, grid_.rows.starts[r], grid_.columns.starts[c])) return false;
        const VectorView out = program_.vector("vae.decoded");
        runner_.backend().download(*out.buffer, out.offset * 4, tile.data(), out.count * 4);
        for (int64_t y = 0; y < lines; ++y) blend_into(strip.data() + y * line, tile.data() + y * tile_line, column_blends_[c], kRgb);
      }
      blend_into(picture.data(), strip.data(), row_blends_[r], line);
    }
    to_rgb8(picture, rgb);
    return true;
  }

  void to_rgb8(const std::vector<float>& picture, std::vector<uint8_t>& rgb) {
    Backend& backend = runner_.backend();
    const auto buffer = backend.allocate(picture.size() * sizeof(float));
    backend.upload(*buffer, 0, picture.data(), static_cast<int64_t>(picture.size() * sizeof(float)));
    backend.to_rgb8({buffer.get(), 0, static_cast<int64_t>(picture.size())}, rgb.data());
  }

  ModelRunner& runner_;
  const RunControl& control_;
  int64_t channels_, scale_, width_;
  TileGrid grid_;
  std::vector<Blend> row_blends_, column_blends_;
  LoadedProgram program_;
};

}  // namespace

StageMemory decode_memory(const ModelRunner& runner, const VaeConfig& config, int64_t width, int64_t height, const Tiling& tiling) {
  const TileGrid grid = grid_for(width, height, tiling);
  const StageMemory tile = runner.memory(build_vae_decoder(config, 1, grid.rows.size, grid.columns.size));
  // Tiles meet in a strip and strips in a picture, which goes back to the device once.
  const int64_t line = width * config.scale() * kRgb, lines = config.scale() * (grid.rows.size + 2 * height);
  return over_tiles(tile, grid, grid.tiles() > 1 ? line * lines : 0);
}

std::vector<Image> run_decode(ModelRunner& runner, const ExactRunner& exact, const VaeConfig& config, const DecodeRequest& request,
                              const RunControl& control, const std::function<void(int)>& on_image) {
  const FpEnvironment environment;
  const Latent& latent = request.latent;
  ExactRetry<Decoder> decoder(runner, exact, [&](ModelRunner& on) { return std::make_unique<Decoder>(on, config, request, control); });
  const int64_t each = latent.channels * latent.height * latent.width, scale = config.scale();
  std::vector<float> nhwc(static_cast<size_t>(each));
  std::vector<Image> images;
  for (int64_t i = 0; i < latent.batch; ++i) {
    nchw_to_nhwc(latent.data.data() + i * each, nhwc.data(), 1, latent.channels, latent.height * latent.width);
    Image image{std::vector<uint8_t>(static_cast<size_t>(latent.width * latent.height * scale * scale * kRgb)), latent.width * scale,
                latent.height * scale, false};
    image.retried_in_fp32 = decoder.run([&](Decoder& on) { return on.decode(nhwc.data(), image.rgb); },
                                        "the VAE gave a value that is not a finite number for image " + std::to_string(i + 1));
    images.push_back(std::move(image));
    if (on_image) on_image(static_cast<int>(i) + 1);
  }
  return images;
}

}  // namespace sdgen
