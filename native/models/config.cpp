#include "models/config.h"

#include <charconv>
#include <set>

#include "base/error.h"

namespace sdgen {
namespace {

constexpr int64_t kMaxBlocks = 64, kMaxLayers = 128, kMaxWidth = 16384;

/// The numbers N for which some name begins with `prefix` + N + ".".
std::set<int64_t> numbered(const TensorIndex& index, const std::string& prefix, int64_t limit) {
  std::set<int64_t> found;
  for (auto it = index.tensors.lower_bound(prefix); it != index.tensors.end() && it->first.starts_with(prefix); ++it) {
    const char* begin = it->first.data() + prefix.size();
    const char* end = it->first.data() + it->first.size();
    int64_t n = -1;
    const auto [after, failed] = std::from_chars(begin, end, n);
    if (failed != std::errc{} || after == end || *after != '.' || n < 0 || n >= limit) continue;
    found.insert(n);
  }
  return found;
}

int64_t count_numbered(const TensorIndex& index, const std::string& prefix, int64_t limit) {
  const std::set<int64_t> found = numbered(index, prefix, limit);
  return found.empty() ? 0 : *found.rbegin() + 1;
}

bool any_with_prefix(const TensorIndex& index, const std::string& prefix) {
  const auto it = index.tensors.lower_bound(prefix);
  return it != index.tensors.end() && it->first.starts_with(prefix);
}

/// The first of several tensors that is there tells the size: one missing tensor must not hide the others' reports.
int64_t required_dim(const TensorIndex& index, std::initializer_list<std::pair<std::string, size_t>> candidates) {
  for (const auto& [name, axis] : candidates) {
    const std::optional<int64_t> size = index.dim(name, axis);
    if (!size) continue;
    if (*size < 1 || *size > kMaxWidth * 8) {
      throw Error(ErrorCode::kModelFormat, "tensor '" + name + "' has an impossible dimension of " + std::to_string(*size));
    }
    return *size;
  }
  throw Error(ErrorCode::kModelFormat, "tensor '" + candidates.begin()->first + "' is missing, so the network's size cannot be told");
}

UnetConfig read_unet(const TensorIndex& index) {
  UnetConfig c;
  const std::string in = "unet.input_blocks.";
  c.model_channels = required_dim(index, {{in + "0.0.weight", 0}, {in + "0.0.bias", 0}, {"unet.time_embed.0.weight", 1}});
  c.in_channels = required_dim(index, {{in + "0.0.weight", 1}});
  c.out_channels = required_dim(index, {{"unet.out.2.weight", 0}, {"unet.out.2.bias", 0}});
  int64_t channels = c.model_channels;
  c.levels.push_back({channels, 0, 0});
  for (int64_t i = 1, blocks = count_numbered(index, in, kMaxBlocks); i < blocks; ++i) {
    const std::string block = in + std::to_string(i);
    if (any_with_prefix(index, block + ".0.op.")) {
      c.levels.push_back({channels, 0, 0});
      continue;
    }
    const std::string res = block + ".0.";
    channels = required_dim(index, {{res + "out_layers.3.bias", 0}, {res + "out_layers.3.weight", 0}, {res + "in_layers.2.bias", 0},
                                    {res + "in_layers.2.weight", 0}, {res + "emb_layers.1.weight", 0}, {res + "out_layers.0.weight", 0}});
    UnetConfig::Level& level = c.levels.back();
    level.channels = channels;
    level.res_blocks += 1;
    level.transformer_depth = std::max(level.transformer_depth, count_numbered(index, block + ".1.transformer_blocks.", 64));
  }
  c.middle_depth = count_numbered(index, "unet.middle_block.1.transformer_blocks.", 64);
  if (index.dim("unet.label_emb.0.0.weight", 1)) c.pooled_width = required_dim(index, {{"unet.label_emb.0.0.weight", 1}});
  const std::string attn = "unet.middle_block.1.transformer_blocks.0.attn2.";
  c.context_width = required_dim(index, {{attn + "to_k.weight", 1}, {attn + "to_v.weight", 1},
                                         {in + "1.1.transformer_blocks.0.attn2.to_k.weight", 1}});
  return c;
}

TextConfig read_text(const TensorIndex& index) {
  TextConfig c;
  const std::string token = "text.embeddings.token_embedding.weight", position = "text.embeddings.position_embedding.weight";
  c.width = required_dim(index, {{token, 1}, {position, 1}, {"text.final_layer_norm.weight", 0}});
  c.vocabulary = required_dim(index, {{token, 0}});
  c.positions = required_dim(index, {{position, 0}});
  c.layers = count_numbered(index, "text.encoder.layers.", kMaxLayers);
  c.projection = index.dim("text.text_projection.weight", 0).value_or(0);
  c.mlp = required_dim(index, {{"text.encoder.layers.0.mlp.fc1.weight", 0}, {"text.encoder.layers.0.mlp.fc1.bias", 0},
                               {"text.encoder.layers.0.mlp.fc2.weight", 1}});
  return c;
}

VaeConfig read_vae(const TensorIndex& index) {
  VaeConfig c;
  const std::string up = "vae.decoder.up.";
  const int64_t levels = count_numbered(index, up, 16);
  if (levels == 0) throw Error(ErrorCode::kModelFormat, "the file has no VAE decoder (vae.decoder.up.*)");
  c.latent_channels = required_dim(index, {{"vae.post_quant_conv.weight", 0}, {"vae.decoder.conv_in.weight", 1}});
  c.channels = required_dim(index, {{"vae.decoder.norm_out.weight", 0}, {"vae.decoder.conv_out.weight", 1}});
  for (int64_t l = 0; l < levels; ++l) {
    const std::string level = up + std::to_string(l) + ".block.";
    const int64_t width = required_dim(index, {{level + "1.conv1.weight", 0}, {level + "1.conv2.weight", 0}, {level + "0.conv2.weight", 0},
                                               {level + "0.conv1.bias", 0}});
    c.widths.push_back(width);
  }
  c.res_blocks = count_numbered(index, up + "0.block.", 16) - 1;
  return c;
}

/// Whether the text tower gives the pooled text that the UNet asks for.
void check_pooled(const ModelConfig& config, const Facts& facts) {
  const int64_t asked = config.unet.pooled_width, given = config.text.projection > 0 ? config.text.projection : config.text.width;
  if (asked == 0 && facts.stated.embeds_pooled_text) {
    throw Error(ErrorCode::kModelUnsupported, "the UNet's config states \"addition_embed_type\": \"text\", but its weights have no "
                                              "add_embedding.linear_1, so they embed the text in another way than the one that is built");
  }
  if (asked == 0 || asked == given) return;
  throw Error(ErrorCode::kModelUnsupported, "the UNet's pooled text is " + std::to_string(asked) + " wide but the text encoder gives " +
                                                std::to_string(given));
}

/// Further input channels are those of inpainting models (a mask and the masked picture's latent) or of models that edit a
/// picture (its latent).
void check_channels(const ModelConfig& config) {
  const int64_t latent = config.vae.latent_channels, further = config.unet.further_channels();
  if (config.unet.out_channels != latent) {
    throw Error(ErrorCode::kModelUnsupported, "the UNet gives " + std::to_string(config.unet.out_channels) + " channels but the VAE's latents have " +
                                                  std::to_string(latent));
  }
  if (further == 0 || further == latent || further == latent + 1) return;
  throw Error(ErrorCode::kModelUnsupported, "a UNet with " + std::to_string(config.unet.in_channels) + " input channels is not built: " +
                                                std::to_string(latent) + ", " + std::to_string(2 * latent) + " (editing) and " +
                                                std::to_string(2 * latent + 1) + " (inpainting) are");
}

/// What every family does after its tensors were measured.
ModelConfig with_facts(const Facts& facts, ModelConfig config, const std::vector<int64_t>& unet_heads, PredictionType prediction) {
  constexpr int64_t kTextHeadSize = 64;
  constexpr double kScaleFactor = 0.18215;
  std::vector<int64_t> widths;
  for (const UnetConfig::Level& level : config.unet.levels) widths.push_back(level.transformer_depth > 0 ? level.channels : 0);
  if (config.unet.middle_depth > 0) widths.back() = config.unet.levels.back().channels;
  config.unet.heads = resolve_unet_heads(facts, unet_heads, widths);
  config.text.heads = resolve_text_heads(facts, std::max<int64_t>(1, config.text.width / kTextHeadSize), config.text.width);
  if (facts.is_folder) config.text.tokenizer = TokenizerKind::kFolder;
  config.text.activation = facts.stated.text_activation.value_or(config.text.activation);
  config.prediction_type = resolve_prediction(facts, prediction);
  config.vae.scale_factor = resolve_scale(facts, kScaleFactor);
  config.unet.norm_groups = resolve_groups(facts, "sdgen.unet_norm_groups", facts.stated.unet_groups, config.unet.norm_groups);
  config.vae.norm_groups = resolve_groups(facts, "sdgen.vae_norm_groups", facts.stated.vae_groups, config.vae.norm_groups);
  config.text.pools = config.unet.pooled_width > 0;
  check_pooled(config, facts);
  if (config.unet.context_width != config.text.width) {
    throw Error(ErrorCode::kModelUnsupported, "the UNet's context is " + std::to_string(config.unet.context_width) +
                                                  " wide but the text encoder gives " + std::to_string(config.text.width));
  }
  check_channels(config);
  return config;
}

}  // namespace

ModelConfig read_sd1_config(const TensorIndex& index, const Facts& facts) {
  constexpr int64_t kUnetHeads = 8;
  return with_facts(facts, {read_text(index), read_unet(index), read_vae(index), {}, {}}, {kUnetHeads}, PredictionType::kEpsilon);
}

ModelConfig read_sd2_config(const TensorIndex& index, const Facts& facts) {
  constexpr int64_t kUnetHeadSize = 64;
  ModelConfig config{read_text(index), read_unet(index), read_vae(index), {}, {}};
  config.text.activation = Activation::kGelu;
  // A folder's tower ends with the layer before the last of the original.
  config.text.fixed_skip = facts.is_folder ? 1 : 2;
  config.text.tokenizer = TokenizerKind::kOpenClip;
  std::vector<int64_t> heads;
  for (const UnetConfig::Level& level : config.unet.levels) heads.push_back(std::max<int64_t>(1, level.channels / kUnetHeadSize));
  return with_facts(facts, std::move(config), heads, PredictionType::kProbe);
}

}  // namespace sdgen
