#include "engine/describe.h"

#include <algorithm>
#include <filesystem>

#include "models/clip.h"
#include "models/unet.h"
#include "models/vae.h"

namespace sdgen {
namespace {

int64_t parameters(const std::vector<WeightUse>& uses) {
  int64_t total = 0;
  for (const WeightUse& use : uses) {
    int64_t n = 1;
    for (int64_t d : use.shape) n *= d;
    total += n;
  }
  return total;
}

double ratio(int64_t a, int64_t b) { return static_cast<double>(a) / static_cast<double>(b); }

std::vector<WeightUse> text_weights(const TextConfig& config) {
  std::vector<WeightUse> uses = build_clip_text(config, 1, config.fixed_skip.value_or(1)).weights;
  if (!config.pools || config.projection == 0) return uses;
  const std::vector<WeightUse> projection = build_text_projection(config, 1).weights;
  uses.insert(uses.end(), projection.begin(), projection.end());
  return uses;
}

}  // namespace

std::vector<WeightUse> PartWeights::all() const {
  std::vector<WeightUse> uses = text;
  uses.insert(uses.end(), unet.begin(), unet.end());
  uses.insert(uses.end(), vae.begin(), vae.end());
  return uses;
}

PartWeights part_weights(const ModelConfig& config) {
  return {text_weights(config.text), build_unet(config.unet, {}).weights, build_vae_decoder(config.vae, 1, 8, 8).weights,
          build_vae_encoder(config.vae, 1, 64, 64).weights};
}

ModelDescription describe_model(const Checkpoint& model, const ModelConfig& config, const PartWeights& weights) {
  ModelDescription d;
  d.path = model.store->path();
  d.files = model.files;
  d.vae_files = model.vae_files;
  d.family = model.family->id;
  for (const std::string& file : model.files) {
    std::error_code failed;  // a file that vanished is found out when its weights are read
    const uint64_t bytes = std::filesystem::file_size(file, failed);
    if (!failed) d.file_bytes += bytes;
  }
  d.tensor_count = model.store->tensors().size();
  for (const WeightUse& use : weights.all()) d.dtypes[std::string(dtype_name(model.index.tensors.at(use.name)->dtype))] += 1;
  d.parameters = {{"text", parameters(weights.text)}, {"unet", parameters(weights.unet)}, {"vae", parameters(weights.vae)}};
  d.metadata = model.facts.metadata;
  d.prediction_type = config.prediction_type;
  d.scale_factor = config.vae.scale_factor;
  d.latent_channels = config.vae.latent_channels;
  d.latent_scale = config.vae.scale();
  d.text.width = config.text.width;
  d.text.layers = config.text.layers;
  d.text.vocabulary = config.text.vocabulary;
  d.text.positions = config.text.positions;
  d.text.heads = config.text.heads;
  d.text.has_clip_skip = !config.text.fixed_skip.has_value();
  d.text.tokenizer = config.text.tokenizer;
  d.unet.in_channels = config.unet.in_channels;
  d.unet.model_channels = config.unet.model_channels;
  d.unet.context_width = config.unet.context_width;
  for (const UnetConfig::Level& level : config.unet.levels) d.unet.channel_multipliers.push_back(ratio(level.channels, config.unet.model_channels));
  d.unet.heads = config.unet.heads;
  d.unet.pooled_width = config.unet.pooled_width;
  d.noise = config.noise;
  d.trailing_timesteps = model.facts.stated.trailing_timesteps;
  d.vae.channels = config.vae.channels;
  d.vae.has_encoder = std::all_of(weights.encoder.begin(), weights.encoder.end(), [&](const WeightUse& use) { return model.index.tensors.contains(use.name); });
  for (const int64_t width : config.vae.widths) d.vae.channel_multipliers.push_back(ratio(width, config.vae.channels));
  d.renamed = model.index.renamed;
  d.unused_tensors = model.index.unused;
  if (config.noise.origin == Origin::kWeights) std::erase(d.unused_tensors, "alphas_cumprod");
  std::map<std::string, bool, std::less<>> used;
  for (const WeightUse& use : weights.all()) used[use.name] = true;
  if (d.vae.has_encoder) {
    for (const WeightUse& use : weights.encoder) used[use.name] = true;
  }
  for (const auto& [canonical, tensor] : model.index.tensors) {
    if (!used.contains(canonical)) d.unused_tensors.push_back(tensor->name);
  }
  return d;
}

}  // namespace sdgen
