#pragma once
// Dimensions of the networks. They come from the tensors' shapes; what shapes cannot tell is a fact (models/facts.h).
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "graph/ops/activation.h"
#include "models/facts.h"
#include "models/noise_table.h"
#include "models/tensor_index.h"

namespace sdgen {

/// Which tokenizer a text tower was trained with: CLIP's; OpenCLIP's (other fill, HTML entities); the files of its folder.
enum class TokenizerKind { kClip, kOpenClip, kFolder };

struct TextConfig {
  int64_t width = 0, layers = 0, mlp = 0, vocabulary = 0, positions = 0;
  Resolved<int64_t> heads;
  Activation activation = Activation::kQuickGelu;  // of the mlp
  /// Whether the UNet asks for the pooled text: the last layer's features at the end token.
  bool pools = false;
  int64_t projection = 0;  // width that a projection gives the pooled text; 0: it has none
  /// Where a family always takes the same layer, counted from the end as clip skip is (1: the last).
  std::optional<int> fixed_skip = std::nullopt;
  TokenizerKind tokenizer = TokenizerKind::kClip;
};

struct UnetConfig {
  struct Level {
    int64_t channels = 0;
    int64_t res_blocks = 0;
    int64_t transformer_depth = 0;  // 0: no transformer on this level
  };
  int64_t in_channels = 0, out_channels = 0, model_channels = 0, context_width = 0;
  int64_t middle_depth = 0;
  int64_t pooled_width = 0;  // of the pooled text, which is embedded and joins the timestep's embedding; 0: not asked for
  int64_t norm_groups = 32;
  std::vector<Level> levels;
  Resolved<std::vector<int64_t>> heads;  // of each level; the middle has the last one's
  /// Channels that stand after the latent's own: a mask and a masked latent, or the latent of a picture to edit.
  int64_t further_channels() const noexcept { return in_channels - out_channels; }
};

struct VaeConfig {
  int64_t latent_channels = 0, channels = 0;
  std::vector<int64_t> widths;       // by level, from the picture on; the first is `channels`
  int64_t res_blocks = 0;            // of an encoder level; a decoder level has one more
  int64_t norm_groups = 32;
  /// Pixels per latent cell along a side.
  int64_t scale() const noexcept { return int64_t{1} << (widths.size() - 1); }
  Resolved<double> scale_factor;
};

struct ModelConfig {
  TextConfig text;
  UnetConfig unet;
  VaeConfig vae;
  Resolved<PredictionType> prediction_type;
  NoiseTable noise;
};

/// Read the dimensions of a model. Throw kModelFormat or kModelUnsupported when the file is not one of the family,
/// kInvalidArgument for impossible overrides.
ModelConfig read_sd1_config(const TensorIndex& index, const Facts& facts);
/// SD 2.x: OpenCLIP's tower, of which the output before the last layer is used; 64 channels a head.
ModelConfig read_sd2_config(const TensorIndex& index, const Facts& facts);

}  // namespace sdgen
