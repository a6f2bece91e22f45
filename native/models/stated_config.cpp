#include "models/stated_config.h"

#include <filesystem>

#include "base/error.h"
#include "models/noise_table.h"
#include "weights/byte_source.h"
#include "weights/text_file.h"

namespace sdgen {
namespace {

/// Of the signal's power after all training steps: far below any model's, far above where its sigma is no number.
constexpr double kLeastSignal = 1e-12;

constexpr uint64_t kMaxBeside = 1 << 20;  // bytes
constexpr size_t kMaxLevels = 16;

Error wrong(const char* key, const std::string& expected) {
  return Error(ErrorCode::kModelFormat, std::string("the config's \"") + key + "\" should be " + expected);
}

bool is_null(const JsonValue* value) { return value == nullptr || std::holds_alternative<std::nullptr_t>(value->value); }

std::optional<double> number_member(const JsonValue& object, const char* key) {
  const JsonValue* value = member(object, key);
  if (is_null(value)) return std::nullopt;
  if (const auto* real = std::get_if<double>(&value->value)) return *real;
  if (const auto whole = value->as_unsigned()) return static_cast<double>(*whole);
  throw wrong(key, "a number");
}

int64_t heads_value(const JsonValue& value, const char* key) {
  const auto n = value.as_unsigned();
  if (!n || *n < 1 || *n > 1024) throw wrong(key, "a whole number from 1 to 1024, or one for each level");
  return static_cast<int64_t>(*n);
}

/// diffusers calls the number of heads "attention_head_dim" unless "num_attention_heads" is given.
std::vector<int64_t> read_unet_heads(const JsonValue& unet) {
  for (const char* key : {"num_attention_heads", "attention_head_dim"}) {
    const JsonValue* value = member(unet, key);
    if (is_null(value)) continue;
    if (value->as_array() == nullptr) return {heads_value(*value, key)};
    std::vector<int64_t> heads;
    // 0 is how some state that a level has no attention.
    for (const JsonValue& level : *value->as_array()) heads.push_back(level.as_unsigned() == 0 ? 0 : heads_value(level, key));
    if (heads.empty() || heads.size() > kMaxLevels) throw wrong(key, "a whole number, or one for each level");
    return heads;
  }
  return {};
}

std::optional<int64_t> read_groups(const JsonValue& object) {
  const JsonValue* value = member(object, "norm_num_groups");
  if (is_null(value)) return std::nullopt;
  const auto n = value->as_unsigned();
  if (!n || *n < 1 || *n > 4096) throw wrong("norm_num_groups", "a whole number from 1 to 4096");
  return static_cast<int64_t>(*n);
}

/// Whether the UNet embeds the pooled text beside the timestep.
bool read_addition(const JsonValue& unet) {
  const std::string* kind = text_member(unet, "addition_embed_type");
  if (kind == nullptr || *kind == "text") return kind != nullptr;
  throw Error(ErrorCode::kModelUnsupported, "the UNet's \"addition_embed_type\" is \"" + shown(*kind, 40) + "\"; built: text");
}

std::optional<Activation> read_activation(const JsonValue& text) {
  const std::string* name = text_member(text, "hidden_act");
  if (name == nullptr) return std::nullopt;
  if (*name == "quick_gelu") return Activation::kQuickGelu;
  if (*name == "gelu") return Activation::kGelu;
  throw Error(ErrorCode::kModelUnsupported, "the text encoder's \"hidden_act\" is \"" + shown(*name, 40) + "\"; built: quick_gelu, gelu");
}

PredictionType prediction_type(const std::string& text, const std::string& where) {
  if (const auto type = parse_prediction_type(text)) return *type;
  throw Error(ErrorCode::kModelUnsupported, where + " states the prediction type \"" + shown(text, 40) + "\"; built: epsilon, v_prediction");
}

std::optional<BetaSchedule> read_betas(const JsonValue& scheduler) {
  if (!is_null(member(scheduler, "trained_betas"))) {
    throw Error(ErrorCode::kModelUnsupported, "the scheduler's \"trained_betas\" are known but not built yet");
  }
  BetaSchedule betas;
  if (const std::string* kind = text_member(scheduler, "beta_schedule")) {
    if (*kind != "scaled_linear" && *kind != "linear") {
      throw Error(ErrorCode::kModelUnsupported, "the scheduler's \"beta_schedule\" is \"" + shown(*kind, 40) + "\"; built: scaled_linear, linear");
    }
    betas.scaled = *kind == "scaled_linear";
  }
  betas.first = number_member(scheduler, "beta_start").value_or(betas.first);
  betas.last = number_member(scheduler, "beta_end").value_or(betas.last);
  const double count = number_member(scheduler, "num_train_timesteps").value_or(kTrainedSteps);
  if (count != kTrainedSteps) throw wrong("num_train_timesteps", std::to_string(kTrainedSteps));
  if (!(betas.first > 0) || !(betas.last < 1) || !(betas.first <= betas.last)) throw wrong("beta_start", "above 0 and at most \"beta_end\", which must be below 1");
  if (alphas_of(betas).back() < kLeastSignal) throw wrong("beta_end", "small enough to leave some signal at the last of the steps");
  return betas;
}

/// Key, indentation and value of a line "  key: value  # comment".
struct YamlLine {
  size_t indent;
  std::string key, value;
};
std::optional<YamlLine> read_yaml_line(std::string_view line) {
  const size_t begin = line.find_first_not_of(' ');
  if (begin == std::string_view::npos || line[begin] == '#') return std::nullopt;
  const size_t colon = line.find(':', begin);
  if (colon == std::string_view::npos) return std::nullopt;
  std::string_view value = line.substr(colon + 1);
  if (const size_t comment = value.find(" #"); comment != std::string_view::npos) value = value.substr(0, comment);
  const auto trimmed = [](std::string_view text) {
    constexpr std::string_view kAround = " \t\r\"'";
    const size_t first = text.find_first_not_of(kAround);
    if (first == std::string_view::npos) return std::string();
    return std::string(text.substr(first, text.find_last_not_of(kAround) - first + 1));
  };
  return YamlLine{begin, trimmed(line.substr(begin, colon - begin)), trimmed(value)};
}

}  // namespace

VaeStatement read_vae_config(const JsonValue& config) { return {number_member(config, "scaling_factor"), read_groups(config)}; }

StatedConfig read_folder_config(const DiffusersFolder& folder) {
  StatedConfig stated;
  stated.unet_heads = read_unet_heads(folder.unet);
  if (const JsonValue* heads = member(folder.text_encoder, "num_attention_heads"); !is_null(heads)) {
    stated.text_heads = heads_value(*heads, "num_attention_heads");
  }
  stated.text_activation = read_activation(folder.text_encoder);
  stated.unet_groups = read_groups(folder.unet);
  stated.embeds_pooled_text = read_addition(folder.unet);
  const VaeStatement vae = read_vae_config(folder.vae);
  stated.scale_factor = vae.scale_factor;
  stated.vae_groups = vae.groups;
  // diffusers' own default, where the scheduler does not say.
  stated.prediction_type = PredictionType::kEpsilon;
  if (!folder.scheduler) return stated;
  const JsonValue& scheduler = *folder.scheduler;
  if (const std::string* type = text_member(scheduler, "prediction_type")) stated.prediction_type = prediction_type(*type, "the scheduler");
  stated.betas = read_betas(scheduler);
  if (const JsonValue* rescaled = member(scheduler, "rescale_betas_zero_snr"); !is_null(rescaled)) {
    const bool* value = std::get_if<bool>(&rescaled->value);
    if (value == nullptr) throw wrong("rescale_betas_zero_snr", "true or false");
    stated.zero_terminal_snr = *value;
  }
  // "leading", "linspace" and others differ from the webui's own timesteps by one, which pictures do not show.
  const std::string* spacing = text_member(scheduler, "timestep_spacing");
  stated.trailing_timesteps = spacing != nullptr && *spacing == "trailing";
  return stated;
}

std::optional<std::string> yaml_parameterization(std::string_view yaml) {
  std::vector<YamlLine> path;
  bool has_params = false;
  while (!yaml.empty()) {
    const size_t end = yaml.find('\n');
    const std::optional<YamlLine> line = read_yaml_line(yaml.substr(0, end));
    yaml.remove_prefix(end == std::string_view::npos ? yaml.size() : end + 1);
    if (!line) continue;
    while (!path.empty() && path.back().indent >= line->indent) path.pop_back();
    const bool in_params = path.size() == 2 && path[0].key == "model" && path[1].key == "params";
    if (in_params && line->key == "parameterization") return line->value;
    has_params = has_params || in_params;
    path.push_back(*line);
  }
  return has_params ? std::optional<std::string>("eps") : std::nullopt;
}

StatedConfig read_config_beside(const std::string& checkpoint, std::vector<std::string>& files) {
  StatedConfig stated;
  const std::filesystem::path path(checkpoint);
  const auto beside = [&](const char* extension) { return std::filesystem::path(path).replace_extension(extension).string(); };
  if (const std::string json = beside(".json"); path_exists(json)) {
    try {
      const JsonValue object = read_json_object(json, kMaxBeside);
      for (const char* key : {"prediction_type", "modelspec.prediction_type", "parameterization"}) {
        const std::string* text = text_member(object, key);
        if (text == nullptr) continue;
        stated.prediction_type = prediction_type(*text, json);
        files.push_back(json);
        return stated;
      }
    } catch (const Error& error) {
      // Some other program's notes under that name, as the webui keeps them, are none of ours.
      if (error.code() != ErrorCode::kModelFormat) throw;
    }
  }
  for (const char* extension : {".yaml", ".yml"}) {
    const std::string yaml = beside(extension);
    if (!path_exists(yaml)) continue;
    const std::optional<std::string> text = yaml_parameterization(read_text_file(yaml, kMaxBeside));
    if (!text) continue;
    stated.prediction_type = prediction_type(*text, yaml);
    files.push_back(yaml);
    return stated;
  }
  return stated;
}

}  // namespace sdgen
