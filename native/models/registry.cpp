#include "models/registry.h"

#include "base/error.h"
#include "weights/names/names.h"

namespace sdgen {
namespace {

constexpr Family kFamilies[] = {
    {"sd1", sd1_canonical_name, "text.embeddings.token_embedding.weight", read_sd1_config},
};

/// The original layout's name of a canonical one; a file that has another had a known variant.
std::string original_name(const std::string& canonical) {
  constexpr std::pair<std::string_view, std::string_view> kPrefixes[] = {
      {"unet.", "model.diffusion_model."}, {"vae.", "first_stage_model."}, {"text.", "cond_stage_model.transformer.text_model."}};
  for (const auto& [ours, theirs] : kPrefixes) {
    if (canonical.starts_with(ours)) return std::string(theirs) + canonical.substr(ours.size());
  }
  return canonical;
}

TensorIndex index_tensors(const WeightStore& store, const Family& family) {
  TensorIndex index;
  for (const TensorInfo& tensor : store.tensors()) {
    const std::optional<std::string> canonical = family.canonical_name(tensor.name);
    if (!canonical) {
      index.unused.push_back(tensor.name);
      continue;
    }
    const auto [other, fresh] = index.tensors.emplace(*canonical, &tensor);
    if (!fresh) {
      throw Error(ErrorCode::kModelFormat, store.path() + ": '" + other->second->name + "' and '" + tensor.name + "' both stand for " + *canonical);
    }
    if (tensor.name != original_name(*canonical)) {
      index.renamed.emplace(tensor.name, *canonical);
    }
  }
  return index;
}

/// What a file of another kind looks like, for the error message.
std::string resemblance(const WeightStore& store) {
  constexpr std::pair<std::string_view, std::string_view> kOthers[] = {
      {"conditioner.embedders.", "an SDXL checkpoint"},
      {"cond_stage_model.model.", "an SD 2.x checkpoint"},
      {"lora_unet_", "a LoRA, not a checkpoint"},
      {"lora_te_", "a LoRA, not a checkpoint"},
      {"control_model.", "a ControlNet, not a checkpoint"},
      {"model.diffusion_model.double_blocks.", "a Flux checkpoint"},
      {"model.diffusion_model.joint_blocks.", "an SD 3 checkpoint"},
      {"down_blocks.", "the UNet or VAE of a diffusers folder"},
      {"first_stage_model.", "a checkpoint without its text encoder"},
      {"decoder.", "a VAE, not a checkpoint"},
  };
  for (const auto& [prefix, what] : kOthers) {
    for (const TensorInfo& tensor : store.tensors()) {
      if (tensor.name.starts_with(prefix)) return "it looks like " + std::string(what);
    }
  }
  return "its " + std::to_string(store.tensors().size()) + " tensors have unknown names";
}

}  // namespace

std::span<const Family> families() { return kFamilies; }

IdentifiedModel identify(const WeightStore& store) {
  for (const Family& family : kFamilies) {
    IdentifiedModel model{&family, index_tensors(store, family)};
    const bool has_unet = model.index.dim("unet.input_blocks.0.0.weight", 0).has_value();
    const bool has_text = model.index.dim(family.landmark, 0).has_value();
    if (has_unet && has_text) return model;
  }
  throw Error(ErrorCode::kModelUnsupported, store.path() + ": not a model that is built for (SD 1.x single file): " + resemblance(store));
}

}  // namespace sdgen
