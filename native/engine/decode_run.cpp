#include "engine/decode_run.h"

#include <algorithm>
#include <optional>

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

        rows_(cut_for(request.latent.height, request.tiling)), columns_(cut_for(request.latent.width, request.tiling)),
        row_blends_(blends_of(rows_, request.tiling.overlap, scale_)), column_blends_(blends_of(columns_, request.tiling.overlap, scale_)),
        program_(runner.load(build_vae_decoder(config, 1, rows_.size, columns_.size), control.cancel)) {}

  /// [height, width, channels] to pixels; false if a value is not finite.
  bool decode(const float* latent, std::vector<uint8_t>& rgb) {
    if (rows_.starts.size() == 1 && columns_.starts.size() == 1) {
      if (!run_tile(latent, 0, 0)) return false;
      runner_.backend().to_rgb8(program_.vector("vae.decoded"), rgb.data());
      return true;
    }
    return decode_tiles(latent, rgb);
  }

 private:
  bool run_tile(const float* latent, int64_t top, int64_t left) {
    std::vector<float> z;
    z.reserve(static_cast<size_t>(rows_.size * columns_.size * channels_));
    for (int64_t y = 0; y < rows_.size; ++y) {
      const float* row = latent + ((top + y) * width_ + left) * channels_;
      z.insert(z.end(), row, row + columns_.size * channels_);
    }
    program_.upload("z", z.data(), static_cast<int64_t>(z.size() * sizeof(float)));
    runner_.run(program_, control_);
    return runner_.backend().all_finite(program_.vector("vae.decoded"));
  }

  /// Tiles of a strip are blended along x, strips along y, each in ascending order.
  bool decode_tiles(const float* latent, std::vector<uint8_t>& rgb) {
    const int64_t line = width_ * scale_ * kRgb, tile_line = columns_.size * scale_ * kRgb, lines = rows_.size * scale_;
    std::vector<float> picture(rgb.size()), strip(static_cast<size_t>(lines * line)), tile(static_cast<size_t>(lines * tile_line));
    for (size_t r = 0; r < rows_.starts.size(); ++r) {
      for (size_t c = 0; c < columns_.starts.size(); ++c) {
        if (!run_tile(latent, rows_.starts[r], columns_.starts[c])) return false;
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
  Cut rows_, columns_;
  std::vector<Blend> row_blends_, column_blends_;
  LoadedProgram program_;
};

}  // namespace

StageMemory decode_memory(const ModelRunner& runner, const VaeConfig& config, int64_t width, int64_t height, const Tiling& tiling) {
  const Cut rows = cut_for(height, tiling), columns = cut_for(width, tiling);
  StageMemory memory = runner.memory(build_vae_decoder(config, 1, rows.size, columns.size));
  const auto tiles = static_cast<int64_t>(rows.starts.size() * columns.starts.size());
  memory.flops *= static_cast<double>(tiles);
  // Tiles meet in a strip and strips in a picture, which goes back to the device once.
  const int64_t line = width * config.scale() * kRgb * 4;
  if (tiles > 1) memory.bound_bytes += line * config.scale() * (rows.size + 2 * height);
  return memory;
}

std::vector<Image> run_decode(ModelRunner& runner, const ExactRunner& exact, const VaeConfig& config, const DecodeRequest& request,
                              const RunControl& control, const std::function<void(int)>& on_image) {
  const FpEnvironment environment;
  const Latent& latent = request.latent;
  Decoder decoder(runner, config, request, control);
  std::optional<ModelRunner> exact_runner;
  std::optional<Decoder> exact_decoder;
  const int64_t each = latent.channels * latent.height * latent.width, scale = config.scale();
  std::vector<float> nhwc(static_cast<size_t>(each));
  std::vector<Image> images;
  for (int64_t i = 0; i < latent.batch; ++i) {
    nchw_to_nhwc(latent.data.data() + i * each, nhwc.data(), 1, latent.channels, latent.height * latent.width);
    Image image{std::vector<uint8_t>(static_cast<size_t>(latent.width * latent.height * scale * scale * kRgb)), latent.width * scale,
                latent.height * scale, false};
    bool finite = decoder.decode(nhwc.data(), image.rgb);
    if (!finite && exact) {
      if (!exact_decoder) exact_decoder.emplace(exact_runner.emplace(exact()), config, request, control);
      image.retried_in_fp32 = true;
      finite = exact_decoder->decode(nhwc.data(), image.rgb);
    }
    if (!finite) {
      throw Error(ErrorCode::kNonFinite, "the VAE gave a value that is not a finite number for image " + std::to_string(i + 1));
    }
    images.push_back(std::move(image));
    if (on_image) on_image(static_cast<int>(i) + 1);
  }
  return images;
}

}  // namespace sdgen
