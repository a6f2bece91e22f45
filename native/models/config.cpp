#include "models/config.h"

#include <charconv>
#include <cmath>
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
    if (width % c.channels != 0) throw Error(ErrorCode::kModelFormat, "VAE level widths are not multiples of " + std::to_string(c.channels));
    c.multipliers.push_back(width / c.channels);
  }
  c.res_blocks = count_numbered(index, up + "0.block.", 16) - 1;
  return c;
}

int64_t parse_positive(const std::string& key, const std::string& text) {
  int64_t value = 0;
  const auto [end, failed] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (failed != std::errc{} || end != text.data() + text.size() || value < 1) {
    throw Error(ErrorCode::kModelFormat, "metadata '" + key + "' should be a positive whole number; it is '" + text.substr(0, 40) + "'");
  }
  return value;
}

Resolved<int64_t> resolve_heads(const char* what, const std::optional<int64_t>& flag, const std::map<std::string, std::string>& metadata,
                                const std::string& key, int64_t fallback, int64_t width) {
  Resolved<int64_t> heads{fallback, Origin::kDefault};
  if (flag) {
    heads = {*flag, Origin::kFlag};
  } else if (const auto it = metadata.find(key); it != metadata.end()) {
    heads = {parse_positive(key, it->second), Origin::kMetadata};
  }
  if (heads.value < 1 || width % heads.value != 0) {
    const ErrorCode code = heads.origin == Origin::kFlag ? ErrorCode::kInvalidArgument : ErrorCode::kModelFormat;
    throw Error(code, std::to_string(heads.value) + " " + what + " heads do not divide a width of " + std::to_string(width) +
                          "; state them in the file's metadata ('" + key + "')");
  }
  return heads;
}

Resolved<PredictionType> resolve_prediction(const std::optional<PredictionType>& flag, const std::map<std::string, std::string>& metadata) {
  if (flag) return {*flag, Origin::kFlag};
  for (const char* key : {"modelspec.prediction_type", "sdgen.prediction_type"}) {
    const auto it = metadata.find(key);
    if (it == metadata.end()) continue;
    if (it->second == "epsilon") return {PredictionType::kEpsilon, Origin::kMetadata};
    if (it->second == "v" || it->second == "v_prediction") return {PredictionType::kVPrediction, Origin::kMetadata};
    throw Error(ErrorCode::kModelUnsupported, "metadata '" + std::string(key) + "' is '" + it->second.substr(0, 40) +
                                                  "'; built: epsilon, v_prediction");
  }
  return {PredictionType::kEpsilon, Origin::kDefault};
}

Resolved<double> resolve_scale(const std::optional<double>& flag, const std::map<std::string, std::string>& metadata) {
  constexpr double kSd1ScaleFactor = 0.18215;
  Resolved<double> scale{kSd1ScaleFactor, Origin::kDefault};
  if (flag) {
    scale = {*flag, Origin::kFlag};
  } else if (const auto it = metadata.find("sdgen.scale_factor"); it != metadata.end()) {
    scale.origin = Origin::kMetadata;
    const auto [end, failed] = std::from_chars(it->second.data(), it->second.data() + it->second.size(), scale.value);
    if (failed != std::errc{} || end != it->second.data() + it->second.size()) scale.value = 0;
  }
  if (!(scale.value > 1e-6) || !(scale.value < 1e6)) {
    throw Error(scale.origin == Origin::kFlag ? ErrorCode::kInvalidArgument : ErrorCode::kModelFormat,
                "the VAE's scale factor should be a number between 1e-6 and 1e6");
  }
  return scale;
}

}  // namespace

std::optional<int64_t> TensorIndex::dim(std::string_view name, size_t axis) const {
  const auto it = tensors.find(name);
  if (it == tensors.end() || axis >= it->second->shape.size()) return std::nullopt;
  return it->second->shape[axis];
}

ModelConfig read_sd1_config(const TensorIndex& index, const std::map<std::string, std::string>& metadata,
                            const ModelOverrides& overrides) {
  ModelConfig config{read_text(index), read_unet(index), read_vae(index), {}};
  constexpr int64_t kSd1UnetHeads = 8, kTextHeadSize = 64;
  int64_t narrowest = config.unet.levels.front().channels;
  for (const UnetConfig::Level& level : config.unet.levels) narrowest = std::min(narrowest, level.channels);
  config.unet.heads = resolve_heads("UNet", overrides.unet_heads, metadata, "sdgen.unet_heads", kSd1UnetHeads, narrowest);
  config.text.heads = resolve_heads("text", overrides.text_heads, metadata, "sdgen.text_heads",
                                    std::max<int64_t>(1, config.text.width / kTextHeadSize), config.text.width);
  config.prediction_type = resolve_prediction(overrides.prediction_type, metadata);
  config.vae.scale_factor = resolve_scale(overrides.scale_factor, metadata);
  if (config.unet.context_width != config.text.width) {
    throw Error(ErrorCode::kModelUnsupported, "the UNet's context is " + std::to_string(config.unet.context_width) +
                                                  " wide but the text encoder gives " + std::to_string(config.text.width));
  }
  if (config.unet.in_channels != config.vae.latent_channels || config.unet.out_channels != config.vae.latent_channels) {
    throw Error(ErrorCode::kModelUnsupported, "a UNet with " + std::to_string(config.unet.in_channels) +
                                                  " input channels (inpainting or editing checkpoint) is known but not built yet");
  }
  return config;
}

}  // namespace sdgen
