#include "models/facts.h"

#include <algorithm>
#include <charconv>

#include "base/error.h"

namespace sdgen {
namespace {

constexpr size_t kShown = 40;  // characters of a stranger's text in a message

const std::string* find(const std::map<std::string, std::string>& metadata, const std::string& key) {
  const auto it = metadata.find(key);
  return it == metadata.end() ? nullptr : &it->second;
}

int64_t parse_positive(const std::string& key, const std::string& text) {
  int64_t value = 0;
  const auto [end, failed] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (failed != std::errc{} || end != text.data() + text.size() || value < 1) {
    throw Error(ErrorCode::kModelFormat, "metadata '" + key + "' should be a positive whole number; it is '" + text.substr(0, kShown) + "'");
  }
  return value;
}

/// Numbers with commas between them: one for all levels, or one for each, 0 where it has no attention.
std::vector<int64_t> parse_list(const std::string& key, const std::string& text) {
  std::vector<int64_t> values;
  for (size_t begin = 0; begin <= text.size();) {
    const size_t comma = std::min(text.find(',', begin), text.size());
    const std::string item = text.substr(begin, comma - begin);
    values.push_back(item == "0" && item != text ? 0 : parse_positive(key, item));
    begin = comma + 1;
  }
  return values;
}

void check_heads(const char* what, int64_t heads, int64_t width, Origin origin, const std::string& key) {
  if (heads >= 1 && width % heads == 0) return;
  throw Error(origin == Origin::kFlag ? ErrorCode::kInvalidArgument : ErrorCode::kModelFormat,
              std::to_string(heads) + " " + what + " heads do not divide a width of " + std::to_string(width) +
                  "; state them in the file's metadata ('" + key + "')");
}

}  // namespace

Resolved<std::vector<int64_t>> resolve_unet_heads(const Facts& facts, const std::vector<int64_t>& fallback, const std::vector<int64_t>& widths) {
  const std::string key = "sdgen.unet_heads";
  Resolved<std::vector<int64_t>> heads{fallback, Origin::kDefault};
  if (facts.overrides.unet_heads) {
    heads = {{*facts.overrides.unet_heads}, Origin::kFlag};
  } else if (const std::string* text = find(facts.metadata, key)) {
    heads = {parse_list(key, *text), Origin::kMetadata};
  } else if (!facts.stated.unet_heads.empty()) {
    heads = {facts.stated.unet_heads, Origin::kConfig};
  }
  if (heads.value.size() == 1) heads.value.assign(widths.size(), heads.value[0]);
  if (heads.value.size() != widths.size()) {
    throw Error(ErrorCode::kModelFormat, "the config states heads for " + std::to_string(heads.value.size()) + " UNet levels; there are " +
                                             std::to_string(widths.size()));
  }
  for (size_t i = 0; i < widths.size(); ++i) {
    if (widths[i] > 0) check_heads("UNet", heads.value[i], widths[i], heads.origin, key);
  }
  return heads;
}

Resolved<int64_t> resolve_text_heads(const Facts& facts, int64_t fallback, int64_t width) {
  const std::string key = "sdgen.text_heads";
  Resolved<int64_t> heads{fallback, Origin::kDefault};
  if (facts.overrides.text_heads) {
    heads = {*facts.overrides.text_heads, Origin::kFlag};
  } else if (const std::string* text = find(facts.metadata, key)) {
    heads = {parse_positive(key, *text), Origin::kMetadata};
  } else if (facts.stated.text_heads) {
    heads = {*facts.stated.text_heads, Origin::kConfig};
  }
  check_heads("text", heads.value, width, heads.origin, key);
  return heads;
}

int64_t resolve_groups(const Facts& facts, const std::string& key, std::optional<int64_t> stated, int64_t fallback) {
  if (const std::string* text = find(facts.metadata, key)) return parse_positive(key, *text);
  return stated.value_or(fallback);
}

std::optional<PredictionType> parse_prediction_type(std::string_view text) {
  if (text == "epsilon" || text == "eps") return PredictionType::kEpsilon;
  if (text == "v" || text == "v_prediction") return PredictionType::kVPrediction;
  return std::nullopt;
}

Resolved<PredictionType> resolve_prediction(const Facts& facts, PredictionType fallback) {
  if (facts.overrides.prediction_type) return {*facts.overrides.prediction_type, Origin::kFlag};
  for (const char* key : {"modelspec.prediction_type", "sdgen.prediction_type"}) {
    const std::string* text = find(facts.metadata, key);
    if (text == nullptr) continue;
    if (const auto type = parse_prediction_type(*text)) return {*type, Origin::kMetadata};
    throw Error(ErrorCode::kModelUnsupported, "metadata '" + std::string(key) + "' is '" + text->substr(0, kShown) +
                                                  "'; built: epsilon, v_prediction");
  }
  if (facts.stated.prediction_type) return {*facts.stated.prediction_type, Origin::kConfig};
  if (facts.has_v_pred_key) return {PredictionType::kVPrediction, Origin::kWeights};
  return {fallback, Origin::kDefault};
}

Resolved<double> resolve_scale(const Facts& facts, double fallback) {
  Resolved<double> scale{fallback, Origin::kDefault};
  if (facts.overrides.scale_factor) {
    scale = {*facts.overrides.scale_factor, Origin::kFlag};
  } else if (const std::string* text = find(facts.metadata, "sdgen.scale_factor")) {
    scale.origin = Origin::kMetadata;
    const auto [end, failed] = std::from_chars(text->data(), text->data() + text->size(), scale.value);
    if (failed != std::errc{} || end != text->data() + text->size()) scale.value = 0;
  } else if (facts.stated.scale_factor) {
    scale = {*facts.stated.scale_factor, Origin::kConfig};
  }
  if (!(scale.value > 1e-6) || !(scale.value < 1e6)) {
    throw Error(scale.origin == Origin::kFlag ? ErrorCode::kInvalidArgument : ErrorCode::kModelFormat,
                "the VAE's scale factor should be a number between 1e-6 and 1e6");
  }
  return scale;
}

}  // namespace sdgen
