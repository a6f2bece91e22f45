#pragma once
// What shapes cannot tell about a model, and which of several statements counts:
// flag > metadata of the file > config files > marker tensors > the family's default.
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "graph/ops/activation.h"

namespace sdgen {

/// kProbe: nothing says it; the network itself is asked when its weights are there.
enum class PredictionType { kEpsilon, kVPrediction, kProbe };
enum class Origin { kFlag, kMetadata, kConfig, kWeights, kProbe, kDefault };

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
  std::optional<bool> zero_terminal_snr = std::nullopt;
};

inline constexpr int kTrainedSteps = 1000;

/// Noise added in each training step: from `first` to `last` linearly, or linearly in the square roots (scaled).
struct BetaSchedule {
  bool scaled = true;
  double first = 0.00085, last = 0.012;
};

/// What config files state: those of a diffusers folder, or a JSON or YAML beside a checkpoint.
struct StatedConfig {
  std::optional<PredictionType> prediction_type;
  std::optional<int64_t> text_heads;
  std::vector<int64_t> unet_heads;  // by level, or one for all; empty: not stated
  std::optional<double> scale_factor;
  std::optional<Activation> text_activation;
  std::optional<BetaSchedule> betas;
  std::optional<int64_t> unet_groups, vae_groups;  // of their norms
  bool embeds_pooled_text = false;
  bool trailing_timesteps = false;  // timesteps count from the last trained one downwards
  std::optional<bool> zero_terminal_snr;
};

struct Facts {
  ModelOverrides overrides;
  std::map<std::string, std::string> metadata;
  StatedConfig stated;
  // Tensors "v_pred" and "ztsnr", by which some checkpoints mark themselves.
  bool has_v_pred_key = false, has_ztsnr_key = false;
  bool is_folder = false;  // of diffusers
};

/// Attention heads for layers of these widths, one number each; a width of 0 stands for a level without attention. `fallback` likewise. Throws kInvalidArgument (flag) or
/// kModelFormat for heads that do not divide their width.
Resolved<std::vector<int64_t>> resolve_unet_heads(const Facts& facts, const std::vector<int64_t>& fallback, const std::vector<int64_t>& widths);
Resolved<int64_t> resolve_text_heads(const Facts& facts, int64_t fallback, int64_t width);
/// Groups of a part's norms: metadata, then config, then the fallback. Throws kModelFormat.
int64_t resolve_groups(const Facts& facts, const std::string& key, std::optional<int64_t> stated, int64_t fallback);
/// Throws kModelUnsupported for a stated type that is not built.
Resolved<PredictionType> resolve_prediction(const Facts& facts, PredictionType fallback);
Resolved<double> resolve_scale(const Facts& facts, double fallback);

/// "epsilon" or "v_prediction" in the spellings of metadata and config files; nullopt for another.
std::optional<PredictionType> parse_prediction_type(std::string_view text);

}  // namespace sdgen
