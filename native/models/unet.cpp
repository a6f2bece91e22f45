// Rombach et al., High-Resolution Image Synthesis with Latent Diffusion Models: the conditional UNet.
#include "models/unet.h"

namespace sdgen {
namespace {

constexpr double kResEps = 1e-5, kTransformerEps = 1e-6;

class Unet {
 public:
  Unet(Builder& builder, int64_t groups, ValueId silu_emb, ValueId context)
      : b(builder), groups_(groups), silu_emb_(silu_emb), context_(context) {}

  ValueId res_block(const Scope& s, ValueId x, int64_t out) {
    const ValueId time = b.linear(s / "emb_layers.1", silu_emb_, out);
    ValueId h = b.group_norm(s / "in_layers.0", x, groups_, kResEps, true);
    h = b.conv2d(s / "in_layers.2", h, out, {.channel_add = time});
    h = b.group_norm(s / "out_layers.0", h, groups_, kResEps, true);
    const ValueId skip = b.shape(x).channels() == out ? x : b.linear(s / "skip_connection", x, out);
    return b.conv2d(s / "out_layers.3", h, out, {.residual = skip});
  }

  ValueId transformer(const Scope& s, ValueId x, int64_t depth, int64_t heads) {
    const int64_t c = b.shape(x).channels();
    ValueId h = b.linear(s / "proj_in", b.group_norm(s / "norm", x, groups_, kTransformerEps, false), c);
    for (int64_t d = 0; d < depth; ++d) h = transformer_block(s / "transformer_blocks" / d, h, heads);
    return b.linear(s / "proj_out", h, c, {.residual = x});
  }

  Builder& b;

 private:
  ValueId attention(const Scope& s, ValueId x, ValueId context, ValueId residual, int64_t heads) {
    const int64_t c = b.shape(x).channels();
    const ValueId q = b.linear(s / "to_q", x, c, {.bias = false});
    const ValueId k = b.linear(s / "to_k", context, c, {.bias = false});
    const ValueId v = b.linear(s / "to_v", context, c, {.bias = false});
    return b.linear(s / "to_out.0", b.attention(q, k, v, heads), c, {.residual = residual});
  }

  ValueId transformer_block(const Scope& s, ValueId x, int64_t heads) {
    const int64_t c = b.shape(x).channels();
    ValueId h = b.layer_norm(s / "norm1", x);
    x = attention(s / "attn1", h, h, x, heads);
    h = b.layer_norm(s / "norm2", x);
    x = attention(s / "attn2", h, context_, x, heads);
    h = b.geglu(b.linear(s / "ff.net.0.proj", b.layer_norm(s / "norm3", x), 8 * c));
    return b.linear(s / "ff.net.2", h, c, {.residual = x});
  }

  int64_t groups_;
  ValueId silu_emb_, context_;
};

/// What every ResBlock is told: silu of the timestep's embedding, to which the pooled text's is added where there is one.
ValueId time_embedding(Builder& b, const UnetConfig& config, ValueId t, ValueId pooled) {
  const int64_t width = 4 * config.model_channels;
  const ValueId sinusoid = b.timestep_embedding(t, config.model_channels);
  b.mark("unet.mid.t_sinusoid", sinusoid);
  const ValueId h = b.linear("unet.time_embed.0", sinusoid, width, {.activation = Activation::kSilu});
  ValueId emb = b.linear("unet.time_embed.2", h, width);
  if (config.pooled_width > 0) {
    const ValueId text = b.linear("unet.label_emb.0.0", pooled, width, {.activation = Activation::kSilu});
    emb = b.add(emb, b.linear("unet.label_emb.0.2", text, width));
  }
  b.mark("unet.mid.t_emb", emb);
  return b.activation(emb, Activation::kSilu);
}

/// Nearest, to the skip connection's size: sides that do not divide come out of the upsampler one too large.
ValueId match_size(Builder& b, ValueId h, ValueId skip) {
  const Shape &have = b.shape(h), &want = b.shape(skip);
  return have[1] == want[1] && have[2] == want[2] ? h : b.resize_nearest(h, want[1], want[2]);
}

}  // namespace

Program build_unet(const UnetConfig& config, const UnetShape& shape, bool keep_marks) {
  Builder b("unet", keep_marks);
  ValueId x = b.input("x", {shape.batch, shape.height, shape.width, config.out_channels});
  if (config.further_channels() > 0) {
    x = b.concat(x, b.input("further", {shape.batch, shape.height, shape.width, config.further_channels()}, true));
  }
  const ValueId t = b.input("t", {shape.batch}, true);
  const ValueId context = b.input("ctx", {shape.batch, shape.context_tokens, config.context_width}, true);
  const ValueId pooled = config.pooled_width > 0 ? b.input("pooled", {shape.batch, config.pooled_width}, true) : -1;
  Unet net(b, config.norm_groups, time_embedding(b, config, t, pooled), context);
  const std::vector<int64_t>& heads = config.heads.value;
  const Scope unet("unet");
  const auto levels = static_cast<int64_t>(config.levels.size());

  ValueId h = b.conv2d("unet.input_blocks.0.0", x, config.model_channels);
  b.mark("unet.mid.conv_in", h);
  std::vector<ValueId> skips{h};
  int64_t block = 1;
  for (int64_t l = 0; l < levels; ++l) {
    const UnetConfig::Level& level = config.levels[static_cast<size_t>(l)];
    const std::string down = "unet.mid.down" + std::to_string(l);
    for (int64_t r = 0; r < level.res_blocks; ++r, ++block) {
      h = net.res_block(unet / "input_blocks" / block / 0, h, level.channels);
      if (l == 0 && r == 0) b.mark(down + ".res0", h);
      if (level.transformer_depth > 0) h = net.transformer(unet / "input_blocks" / block / 1, h, level.transformer_depth, heads[static_cast<size_t>(l)]);
      if (l == 0 && r == 0 && level.transformer_depth > 0) b.mark(down + ".attn0", h);
      skips.push_back(h);
    }
    if (l + 1 < levels) {
      h = b.conv2d(unet / "input_blocks" / block / 0 / "op", h, level.channels, {.stride = 2});
      skips.push_back(h);
      ++block;
    }
    b.mark(down, h);
  }

  const int64_t deepest = config.levels.back().channels;
  h = net.res_block(unet / "middle_block" / 0, h, deepest);
  if (config.middle_depth > 0) h = net.transformer(unet / "middle_block" / 1, h, config.middle_depth, heads.back());
  h = net.res_block(unet / "middle_block" / 2, h, deepest);
  b.mark("unet.mid.middle_block", h);

  block = 0;
  for (int64_t l = levels - 1; l >= 0; --l) {
    const UnetConfig::Level& level = config.levels[static_cast<size_t>(l)];
    for (int64_t r = 0; r <= level.res_blocks; ++r, ++block) {
      h = b.concat(match_size(b, h, skips.back()), skips.back());
      skips.pop_back();
      int64_t part = 1;
      h = net.res_block(unet / "output_blocks" / block / 0, h, level.channels);
      if (level.transformer_depth > 0) h = net.transformer(unet / "output_blocks" / block / part++, h, level.transformer_depth, heads[static_cast<size_t>(l)]);
      if (l > 0 && r == level.res_blocks) {
        h = b.resize_nearest(h, 2 * b.shape(h)[1], 2 * b.shape(h)[2]);
        h = b.conv2d(unet / "output_blocks" / block / part / "conv", h, level.channels);
      }
    }
    b.mark("unet.mid.up" + std::to_string(levels - 1 - l), h);
  }

  h = b.group_norm("unet.out.0", h, config.norm_groups, kResEps, true);
  b.output("unet.out", b.conv2d("unet.out.2", h, config.out_channels));
  return b.finish();
}

}  // namespace sdgen
