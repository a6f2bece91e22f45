// Decoding and encoding in tiles: cuts that cover, blends that keep what agrees, seams that do not show, and the retry in float32.
#include <algorithm>
#include <cmath>

#include "engine/decode_run.h"
#include "engine/encode_run.h"
#include "engine/tiles.h"
#include "models/vae.h"
#include "tiny_model.h"

using namespace sdgen;
using namespace sdgen_test;

namespace {

/// The tiny VAE on the reference backend, from a file in memory.
ModelRunner runner_of(const TinyFile& file) {
  const auto store = open_bytes(safetensors_bytes(file.tensors, file.metadata));
  return {store, identify(*store).index, make_reference_backend({2})};
}

Latent smooth_latent(int64_t height, int64_t width) {
  Latent latent{Floats(static_cast<size_t>(4 * height * width)), 1, 4, height, width};
  for (int64_t c = 0; c < 4; ++c) {
    for (int64_t y = 0; y < height; ++y) {
      for (int64_t x = 0; x < width; ++x) {
        // A triangle wave a channel: structure everywhere, no libm.
        const int64_t phase = (3 * x + (c + 1) * y + 11 * c) % 64;
        latent.data[static_cast<size_t>((c * height + y) * width + x)] = 0.05f * static_cast<float>(std::abs(phase - 32) - 16);
      }
    }
  }
  return latent;
}

Picture smooth_picture(int64_t height, int64_t width) {
  Picture picture{Floats(static_cast<size_t>(height * width * 3)), width, height};
  for (size_t i = 0; i < picture.rgb.size(); ++i) {
    const auto pixel = static_cast<int64_t>(i / 3), c = static_cast<int64_t>(i % 3), x = pixel % width, y = pixel / width;
    picture.rgb[i] = static_cast<float>(std::abs((x + 2 * y + 40 * c) % 128 - 64)) / 32.0f - 1.0f;
  }
  return picture;
}

std::vector<uint8_t> decoded(ModelRunner& runner, const Latent& latent, const Tiling& tiling) {
  return run_decode(runner, {}, tiny_config().vae, {latent, tiling}, {}, nullptr)[0].rgb;
}

}  // namespace

TEST(tiles_cover_a_side_evenly_and_blend_inside_both_neighbours) {
  for (const auto& [piece, overlap] : {std::pair<int64_t, int64_t>{64, 16}, {16, 4}, {17, 4}, {4, 1}, {9, 2}}) {
    for (int64_t length = 1; length <= 4 * piece; ++length) {
      const Cut cut = cut_side(length, piece, overlap);
      const std::string what = std::to_string(length) + " by " + std::to_string(piece) + ", " + std::to_string(overlap);
      CHECK_MSG(cut.size == std::min(length, piece), what);
      CHECK_MSG(cut.starts.front() == 0 && cut.starts.back() + cut.size == length, what);
      CHECK_MSG(cut.blends.size() + 1 == cut.starts.size(), what);
      for (size_t i = 0; i < cut.blends.size(); ++i) {
        CHECK_MSG(cut.starts[i] < cut.starts[i + 1], what);
        CHECK_MSG(cut.starts[i + 1] <= cut.blends[i] && cut.blends[i] + overlap <= cut.starts[i] + piece, what);
        CHECK_MSG(i == 0 || cut.blends[i - 1] + overlap <= cut.blends[i], what << ": three pieces in one place");
      }
      // One piece fewer would not reach: nothing is computed in vain.
      const auto fewer = static_cast<int64_t>(cut.starts.size()) - 1;
      CHECK_MSG(fewer == 0 || fewer * piece - (fewer - 1) * overlap < length, what);
    }
  }
}

TEST(tiles_that_agree_blend_to_themselves) {
  const Floats signal = Numbers(5).values(100 * 3);
  const Cut cut = cut_side(50, 16, 4);
  Floats whole(signal.size(), 7.0f);
  const std::vector<Blend> blends = blends_of(cut, 4, 2);
  CHECK(blends.size() > 3);
  for (size_t i = 0; i < blends.size(); ++i) blend_into(whole.data(), signal.data() + cut.starts[i] * 2 * 3, blends[i], 3);
  CHECK(same_bits(whole, signal));
}

TEST(tiles_blend_by_the_written_weights) {
  // Two pieces of 8 that overlap by 2: zeros, then ones.
  const Cut cut = cut_side(14, 8, 2);
  const std::vector<Blend> blends = blends_of(cut, 2, 1);
  Floats whole(14, -1.0f);
  const Floats zeros(8, 0.0f), ones(8, 1.0f);
  blend_into(whole.data(), zeros.data(), blends[0], 1);
  blend_into(whole.data(), ones.data(), blends[1], 1);
  CHECK((whole == Floats{0, 0, 0, 0, 0, 0, 0.25f, 0.75f, 1, 1, 1, 1, 1, 1}));
}

TEST(tiles_show_no_seams) {
  ModelRunner runner = runner_of(TinyFile());
  const Latent latent = smooth_latent(40, 52);
  const Tiling tiling{24, 6};
  const std::vector<uint8_t> whole = decoded(runner, latent, {}), tiled = decoded(runner, latent, tiling);
  CHECK(whole.size() == tiled.size() && whole != tiled);
  const int64_t scale = tiny_config().vae.scale(), width = 52 * scale, height = 40 * scale;
  // GroupNorm and attention see a tile instead of the picture, so that tiles differ from the whole everywhere; a seam is
  // where that difference jumps. Blending over 12 pixels lets it jump by no more than 1/12 of a tile's own difference,
  // beside the steps of 8 bits: a step is at most that much steeper than the picture's own largest.
  int64_t largest_error = 0;
  double error_sum = 0;
  for (size_t i = 0; i < whole.size(); ++i) {
    const int64_t error = std::abs(int64_t{whole[i]} - int64_t{tiled[i]});
    largest_error = std::max(largest_error, error);
    error_sum += static_cast<double>(error);
  }
  const auto steepest = [&](bool at_seams) {
    const Cut columns = cut_side(52, tiling.tile, tiling.overlap);
    int64_t jump = 0;
    for (int64_t y = 0; y < height; ++y) {
      for (int64_t x = 1; x < width; ++x) {
        const bool in_blend = std::any_of(columns.blends.begin(), columns.blends.end(), [&](int64_t from) {
          return x >= from * scale && x <= (from + tiling.overlap) * scale;
        });
        if (in_blend != at_seams) continue;
        for (int64_t c = 0; c < 3; ++c) {
          const auto at = static_cast<size_t>((y * width + x) * 3 + c);
          const auto slope = [&](const std::vector<uint8_t>& rgb) { return int64_t{rgb[at]} - int64_t{rgb[at - 3]}; };
          jump = std::max<int64_t>(jump, std::abs(slope(tiled) - slope(whole)));
        }
      }
    }
    return jump;
  };
  const int64_t blend_pixels = tiling.overlap * scale;
  CHECK_MSG(steepest(true) <= steepest(false) + 2 * largest_error / blend_pixels + 2,
            steepest(true) << " at seams, " << steepest(false) << " elsewhere, largest error " << largest_error);
  CHECK_MSG(error_sum / static_cast<double>(whole.size()) < 12, "mean error " << error_sum / static_cast<double>(whole.size()));
  CHECK(decoded(runner, latent, tiling) == tiled);
}

TEST(tiles_as_large_as_the_picture_are_the_picture) {
  ModelRunner runner = runner_of(TinyFile());
  const Latent latent = smooth_latent(7, 9);
  CHECK(decoded(runner, latent, {12, 3}) == decoded(runner, latent, {}));
}

TEST(tiles_need_less_memory_and_the_estimate_knows) {
  const auto engine = TinyFile().open();
  EstimateRequest request{.latent_width = 64, .latent_height = 48};
  const Estimate whole = engine->estimate(request);
  request.tiling = {16, 4};
  const Estimate tiled = engine->estimate(request);
  CHECK(tiled.vae.arena_bytes * 8 < whole.vae.arena_bytes);
  CHECK(tiled.vae.flops > whole.vae.flops * 0.5);
  std::string what;
  for (const Tiling& bad : {Tiling{3, 1}, {16, 0}, {16, 5}, {-4, 1}}) {
    request.tiling = bad;
    CHECK_THROWS(engine->estimate(request), ErrorCode::kInvalidArgument, what);
    CHECK_THROWS(engine->decode({smooth_latent(3, 5), bad}, {}, nullptr), ErrorCode::kInvalidArgument, what);
  }
}

TEST(tiles_count_in_what_a_part_takes) {
  const Tiling tiling{24, 6};
  const TileGrid grid = grid_for(52, 40, tiling);
  CHECK(grid.columns.starts.size() == 3 && grid.rows.starts.size() == 2 && grid.tiles() == 6);
  CHECK(grid_for(52, 40, {}).tiles() == 1 && grid_for(52, 40, {}).columns.size == 52 && grid_for(52, 40, {}).rows.size == 40);
  const StageMemory one{.arena_bytes = 100, .live_bytes = 90, .scratch_bytes = 7, .bound_bytes = 30, .flops = 5};
  const StageMemory all = over_tiles(one, grid, 11);
  CHECK(all.arena_bytes == 100 && all.live_bytes == 90 && all.scratch_bytes == 7 && all.bound_bytes == 74 && all.flops == 30);
  // A picture's floats, those of a tile and the moments of both, beside what a tile takes.
  ModelRunner runner = runner_of(TinyFile().with_encoder());
  const VaeConfig vae = tiny_config().vae;
  const int64_t scale = vae.scale(), cell = 3 * scale * scale + 2 * vae.latent_channels;
  const StageMemory encoder = runner.memory(build_vae_encoder(vae, 1, 24 * scale, 24 * scale));
  CHECK(encode_memory(runner, vae, 52, 40, tiling).bound_bytes == encoder.bound_bytes + 4 * cell * (52 * 40 + 24 * 24));
  // A strip of tiles, the picture, and the picture on the device.
  const StageMemory decoder = runner.memory(build_vae_decoder(vae, 1, 24, 24));
  CHECK(decode_memory(runner, vae, 52, 40, tiling).bound_bytes == decoder.bound_bytes + 4 * 3 * 52 * scale * scale * (24 + 2 * 40));
  CHECK(decode_memory(runner, vae, 52, 40, {}).bound_bytes == runner.memory(build_vae_decoder(vae, 1, 40, 52)).bound_bytes);
}

TEST(encoding_in_tiles_shows_no_seams) {
  ModelRunner runner = runner_of(TinyFile().with_encoder());
  const VaeConfig vae = tiny_config().vae;
  const int64_t width = 52, height = 40, channels = vae.latent_channels;
  const Picture picture = smooth_picture(height * vae.scale(), width * vae.scale());
  const Tiling tiling{24, 6};
  const auto encoded = [&](const Tiling& how) { return run_encode(runner, {}, vae, {{picture}, how}, {}).mean.data; };
  const Floats whole = encoded({}), tiled = encoded(tiling);
  CHECK(whole.size() == tiled.size() && whole != tiled);
  // As of decoding: a tile's norms and attention see less, and a seam is where the difference to the whole jumps from one
  // cell to the next. Mixed over 6 cells it can jump by a sixth of two tiles' own differences, and no more.
  float largest = 0, at_seams = 0, elsewhere = 0, range = 0;
  const Cut columns = cut_side(width, tiling.tile, tiling.overlap), rows = cut_side(height, tiling.tile, tiling.overlap);
  const auto blended = [&](const Cut& cut, int64_t i) {
    return std::any_of(cut.blends.begin(), cut.blends.end(), [&](int64_t from) { return i >= from && i <= from + tiling.overlap; });
  };
  for (int64_t c = 0; c < channels; ++c) {
    for (int64_t y = 0; y < height; ++y) {
      for (int64_t x = 0; x < width; ++x) {
        const auto at = static_cast<size_t>((c * height + y) * width + x);
        const auto difference = [&](size_t i) { return tiled[i] - whole[i]; };
        largest = std::max(largest, std::abs(difference(at)));
        range = std::max(range, std::abs(whole[at]));
        if (x > 0) {
          float& jump = blended(columns, x) ? at_seams : elsewhere;
          jump = std::max(jump, std::abs(difference(at) - difference(at - 1)));
        }
        if (y > 0) {
          float& jump = blended(rows, y) ? at_seams : elsewhere;
          jump = std::max(jump, std::abs(difference(at) - difference(at - static_cast<size_t>(width))));
        }
      }
    }
  }
  CHECK_MSG(at_seams <= elsewhere + 2 * largest / static_cast<float>(tiling.overlap), at_seams << " at seams, " << elsewhere << " elsewhere");
  CHECK_MSG(largest < range, largest << " of " << range);
  CHECK(encoded(tiling) == tiled);
}

TEST(encoding_in_tiles_as_large_as_the_picture_is_encoding_the_picture) {
  ModelRunner runner = runner_of(TinyFile().with_encoder());
  const VaeConfig vae = tiny_config().vae;
  const Picture picture = smooth_picture(7 * vae.scale(), 9 * vae.scale());
  const Moments whole = run_encode(runner, {}, vae, {{picture, picture}}, {}), tiled = run_encode(runner, {}, vae, {{picture, picture}, {12, 3}}, {});
  CHECK(whole.mean.data == tiled.mean.data && whole.logvar.data == tiled.logvar.data);
  CHECK(whole.mean.batch == 2 && whole.mean.width == 9 && whole.mean.height == 7);
}

TEST(encoding_counts_in_the_estimate) {
  const auto engine = TinyFile().open();
  EstimateRequest request{.latent_width = 8, .latent_height = 8};
  const Estimate without = engine->estimate(request);
  CHECK(without.encoder.weight_bytes == 0 && without.encoder.flops == 0);
  request.encoded_width = 64;
  request.encoded_height = 48;
  const Estimate whole = engine->estimate(request);
  CHECK(whole.encoder.weight_bytes > 0 && whole.weight_bytes == without.weight_bytes + whole.encoder.weight_bytes);
  CHECK(whole.peak_bytes > without.peak_bytes + whole.encoder.weight_bytes && whole.arena_bytes == whole.encoder.arena_bytes);
  request.encoded_tiling = {16, 4};
  const Estimate tiled = engine->estimate(request);
  CHECK(tiled.encoder.arena_bytes * 8 < whole.encoder.arena_bytes && tiled.encoder.flops > whole.encoder.flops * 0.5);
  std::string what;
  request.encoded_tiling = {16, 5};
  CHECK_THROWS(engine->estimate(request), ErrorCode::kInvalidArgument, what);
  CHECK_THROWS(engine->encode({{smooth_picture(64, 64)}, {16, 5}}, {}), ErrorCode::kInvalidArgument, what);
}

TEST(decode_that_is_not_finite_is_made_again_in_float32) {
  TinyFile broken;
  broken.plant("vae.decoder.conv_in.bias", std::numeric_limits<float>::quiet_NaN());
  ModelRunner bad = runner_of(broken), good = runner_of(TinyFile());
  Latent latent = smooth_latent(5, 7);
  latent.data.insert(latent.data.end(), latent.data.begin(), latent.data.end());
  latent.batch = 2;
  const VaeConfig vae = tiny_config().vae;
  int made = 0;
  const ExactRunner exact = [&] {
    ++made;
    return runner_of(TinyFile());
  };
  for (const Tiling& tiling : {Tiling{}, Tiling{4, 1}}) {
    made = 0;
    const std::vector<Image> images = run_decode(bad, exact, vae, {latent, tiling}, {}, nullptr);
    const std::vector<Image> expected = run_decode(good, {}, vae, {latent, tiling}, {}, nullptr);
    CHECK(images.size() == 2 && made == 1);
    for (size_t i = 0; i < 2; ++i) CHECK(images[i].retried_in_fp32 && images[i].rgb == expected[i].rgb && !expected[i].retried_in_fp32);
  }
  std::string what;
  CHECK_THROWS(run_decode(bad, {}, vae, {latent}, {}, nullptr), ErrorCode::kNonFinite, what);
  const ExactRunner bad_too = [&] { return runner_of(broken); };
  CHECK_THROWS(run_decode(bad, bad_too, vae, {latent}, {}, nullptr), ErrorCode::kNonFinite, what);
}

TEST(encode_that_is_not_finite_is_made_again_in_float32) {
  TinyFile broken = TinyFile().with_encoder();
  broken.plant("vae.encoder.conv_in.bias", std::numeric_limits<float>::quiet_NaN());
  ModelRunner bad = runner_of(broken), good = runner_of(TinyFile().with_encoder());
  const VaeConfig vae = tiny_config().vae;
  const Picture picture = smooth_picture(6 * vae.scale(), 8 * vae.scale());
  int made = 0;
  const ExactRunner exact = [&] {
    ++made;
    return runner_of(TinyFile().with_encoder());
  };
  for (const Tiling& tiling : {Tiling{}, Tiling{4, 1}}) {
    made = 0;
    const Moments moments = run_encode(bad, exact, vae, {{picture, picture}, tiling}, {});
    const Moments expected = run_encode(good, exact, vae, {{picture, picture}, tiling}, {});
    CHECK(made == 1 && moments.retried_in_fp32 && !expected.retried_in_fp32 && moments.mean.batch == 2);
    CHECK(moments.mean.data == expected.mean.data && moments.logvar.data == expected.logvar.data);
  }
  std::string what;
  CHECK_THROWS(run_encode(bad, {}, vae, {{picture}}, {}), ErrorCode::kNonFinite, what);
  const ExactRunner bad_too = [&] { return runner_of(broken); };
  CHECK_THROWS(run_encode(bad, bad_too, vae, {{picture}}, {}), ErrorCode::kNonFinite, what);
  CHECK(what.find("the VAE's encoder") != std::string::npos);
}
