// Esser et al., Taming Transformers for High-Resolution Image Synthesis: the KL autoencoder.
#include "models/vae.h"

namespace sdgen {
namespace {

constexpr double kEps = 1e-6;

ValueId res_block(Builder& b, const Scope& s, ValueId x, int64_t out, int64_t groups) {
  ValueId h = b.conv2d(s / "conv1", b.group_norm(s / "norm1", x, groups, kEps, true), out);
  h = b.group_norm(s / "norm2", h, groups, kEps, true);
  const ValueId skip = b.shape(x).channels() == out ? x : b.linear(s / "nin_shortcut", x, out);
  return b.conv2d(s / "conv2", h, out, {.residual = skip});
}

ValueId attention(Builder& b, const Scope& s, ValueId x, int64_t groups) {
  const int64_t c = b.shape(x).channels();
  const ValueId h = b.group_norm(s / "norm", x, groups, kEps, false);
  const ValueId q = b.linear(s / "q", h, c), k = b.linear(s / "k", h, c), v = b.linear(s / "v", h, c);
  return b.linear(s / "proj_out", b.attention(q, k, v, 1), c, {.residual = x});
}

/// The deepest level's blocks, of both ways.
ValueId middle(Builder& b, const Scope& s, ValueId h, int64_t groups) {
  const int64_t deepest = b.shape(h).channels();
  h = res_block(b, s / "block_1", h, deepest, groups);
  h = attention(b, s / "attn_1", h, groups);
  return res_block(b, s / "block_2", h, deepest, groups);
}

}  // namespace

Program build_vae_encoder(const VaeConfig& config, int64_t batch, int64_t height, int64_t width, bool keep_marks) {
  Builder b("vae", keep_marks);
  const Scope encoder("vae.encoder");
  ValueId h = b.conv2d(encoder / "conv_in", b.input("image", {batch, height, width, 3}), config.channels);
  const auto levels = static_cast<int64_t>(config.widths.size());
  for (int64_t l = 0; l < levels; ++l) {
    const int64_t channels = config.widths[static_cast<size_t>(l)];
    for (int64_t r = 0; r < config.res_blocks; ++r) h = res_block(b, encoder / "down" / l / "block" / r, h, channels, config.norm_groups);
    // Padded right and bottom only.
    if (l + 1 < levels) h = b.conv2d(encoder / "down" / l / "downsample.conv", h, channels, {.stride = 2, .pad_before = 0, .pad_after = 1});
    b.mark("vae.down" + std::to_string(l), h);
  }
  h = middle(b, encoder / "mid", h, config.norm_groups);
  b.mark("vae.encoder_mid", h);
  h = b.group_norm(encoder / "norm_out", h, config.norm_groups, kEps, true);
  h = b.conv2d(encoder / "conv_out", h, 2 * config.latent_channels);
  b.output("vae.moments", b.linear("vae.quant_conv", h, 2 * config.latent_channels));
  return b.finish();
}

Program build_vae_decoder(const VaeConfig& config, int64_t batch, int64_t height, int64_t width, bool apply_scale, bool keep_marks) {
  Builder b("vae", keep_marks);
  const Scope decoder("vae.decoder");
  ValueId h = b.input("z", {batch, height, width, config.latent_channels});
  if (apply_scale) h = b.scale(h, static_cast<float>(1.0 / config.scale_factor.value));
  h = b.linear("vae.post_quant_conv", h, config.latent_channels);

  const int64_t deepest = config.widths.back();
  h = b.conv2d(decoder / "conv_in", h, deepest);
  h = middle(b, decoder / "mid", h, config.norm_groups);
  b.mark("vae.mid", h);

  for (auto l = static_cast<int64_t>(config.widths.size()) - 1; l >= 0; --l) {
    const int64_t channels = config.widths[static_cast<size_t>(l)];
    for (int64_t r = 0; r <= config.res_blocks; ++r) h = res_block(b, decoder / "up" / l / "block" / r, h, channels, config.norm_groups);
    if (l > 0) {
      h = b.resize_nearest(h, 2 * b.shape(h)[1], 2 * b.shape(h)[2]);
      h = b.conv2d(decoder / "up" / l / "upsample.conv", h, channels);
    }
    b.mark("vae.up" + std::to_string(l), h);
  }

  h = b.group_norm(decoder / "norm_out", h, config.norm_groups, kEps, true);
  b.output("vae.decoded", b.conv2d(decoder / "conv_out", h, 3));
  return b.finish();
}

}  // namespace sdgen
