#include "engine/describe.h"

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

}  // namespace

std::vector<WeightUse> PartWeights::all() const {
  std::vector<WeightUse> uses = text;
  uses.insert(uses.end(), unet.begin(), unet.end());
  uses.insert(uses.end(), vae.begin(), vae.end());
  return uses;
}

PartWeights part_weights(const ModelConfig& config) {
  return {build_clip_text(config.text, 1, 1).weights, build_unet(config.unet, {}).weights, build_vae_decoder(config.vae, 1, 8, 8).weights};
}

ModelDescription describe_model(const WeightStore& store, const IdentifiedModel& model, const ModelConfig& config,
                                const PartWeights& weights) {
  ModelDescription d;
  d.path = store.path();
  d.family = model.family->id;
  std::error_code ignored;  // a file that vanished is found out when its weights are read
  d.file_bytes = std::filesystem::file_size(d.path, ignored);
  d.tensor_count = store.tensors().size();
  for (const WeightUse& use : weights.all()) d.dtypes[std::string(dtype_name(model.index.tensors.at(use.name)->dtype))] += 1;
  d.parameters = {{"text", parameters(weights.text)}, {"unet", parameters(weights.unet)}, {"vae", parameters(weights.vae)}};
  d.metadata = store.metadata();
  d.prediction_type = config.prediction_type;
  d.scale_factor = config.vae.scale_factor;
  d.latent_channels = config.vae.latent_channels;
  d.latent_scale = config.vae.scale();
  d.text.width = config.text.width;
  d.text.layers = config.text.layers;
  d.text.vocabulary = config.text.vocabulary;
  d.text.positions = config.text.positions;
  d.text.heads = config.text.heads;
  d.unet.in_channels = config.unet.in_channels;
  d.unet.model_channels = config.unet.model_channels;
  d.unet.context_width = config.unet.context_width;
  for (const UnetConfig::Level& level : config.unet.levels) d.unet.channel_multipliers.push_back(level.channels / config.unet.model_channels);
  d.unet.heads = config.unet.heads;
  d.vae.channels = config.vae.channels;
  d.vae.channel_multipliers = config.vae.multipliers;
  d.renamed = model.index.renamed;
  d.unused_tensors = model.index.unused;
  std::map<std::string, bool, std::less<>> used;
  for (const WeightUse& use : weights.all()) used[use.name] = true;
  for (const auto& [canonical, tensor] : model.index.tensors) {
    if (!used.contains(canonical)) d.unused_tensors.push_back(tensor->name);
  }
  return d;
}

}  // namespace sdgen
