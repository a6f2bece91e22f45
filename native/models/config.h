#pragma once
// Dimensions of the networks. They come from the tensors' shapes; what shapes cannot tell comes from
// flag > file metadata > the family's default.
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "weights/store.h"

namespace sdgen {

enum class PredictionType { kEpsilon, kVPrediction };
enum class Origin { kFlag, kMetadata, kDefault };

template <typename T>
struct Resolved {
  T value{};
  Origin origin = Origin::kDefault;
};

struct ModelOverrides {
  std::optional<PredictionType> prediction_type = std::nullopt;
  std::optional<int64_t> text_heads = std::nullopt;
  std::optional<int64_t> unet_heads = std::nullopt;
  std::optional<double> scale_factor = std::nullopt;
};

struct TextConfig {
  int64_t width = 0, layers = 0, mlp = 0, vocabulary = 0, positions = 0;
  Resolved<int64_t> heads;
};

struct UnetConfig {
  struct Level {
    int64_t channels = 0;
    int64_t res_blocks = 0;
    int64_t transformer_depth = 0;  // 0: no transformer on this level
  };
  int64_t in_channels = 0, out_channels = 0, model_channels = 0, context_width = 0;
  int64_t middle_depth = 0;
  std::vector<Level> levels;
  Resolved<int64_t> heads;
};

struct VaeConfig {
  int64_t latent_channels = 0, channels = 0;
  std::vector<int64_t> multipliers;  // of `channels`, by level
  int64_t res_blocks = 0;            // of an encoder level; a decoder level has one more
  /// Pixels per latent cell along a side.
  int64_t scale() const noexcept { return int64_t{1} << (multipliers.size() - 1); }
  Resolved<double> scale_factor;
};

struct ModelConfig {
  TextConfig text;
  UnetConfig unet;
  VaeConfig vae;
  Resolved<PredictionType> prediction_type;
};

/// A file's tensors by canonical name.
struct TensorIndex {
  std::map<std::string, const TensorInfo*, std::less<>> tensors;
  std::vector<std::string> unused;             // names in the file that no network has
  std::map<std::string, std::string> renamed;  // known variant -> canonical
  /// Size of one dimension, or nullopt where the tensor or the dimension is missing.
  std::optional<int64_t> dim(std::string_view name, size_t axis) const;
};

/// Reads the dimensions of an SD 1.x model. Throws kModelFormat or kModelUnsupported when the file is not one,
/// kInvalidArgument for impossible overrides.
ModelConfig read_sd1_config(const TensorIndex& index, const std::map<std::string, std::string>& metadata,
                            const ModelOverrides& overrides);

}  // namespace sdgen
