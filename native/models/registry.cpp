#include "models/registry.h"

#include <algorithm>

#include "base/error.h"
#include "weights/names/names.h"

namespace sdgen {
namespace {

constexpr Family kFamilies[] = {
    {"sd1", sd1_canonical_name, "text.embeddings.token_embedding.weight", "cond_stage_model.transformer.text_model.", read_sd1_config},
    {"sd2", sd2_canonical_name, "text.embeddings.token_embedding.weight", "cond_stage_model.model.", read_sd2_config},
};

/// Whether the file's name is the original layout's and not a known variant of it.
bool is_usual(const Family& family, const std::string& foreign, const std::string& canonical) {
  const auto both = [&](std::string_view ours, std::string_view theirs) { return canonical.starts_with(ours) && foreign.starts_with(theirs); };
  if (both("text.", family.text_prefix)) return true;
  const bool same = both("unet.", "model.diffusion_model.") || both("vae.", "first_stage_model.");
  return same && foreign.ends_with(canonical.substr(canonical.find('.')));
}

/// What a file of another kind looks like, for the error message.
std::string resemblance(const WeightStore& store) {
  constexpr std::pair<std::string_view, std::string_view> kOthers[] = {
      {"conditioner.embedders.", "an SDXL checkpoint"},
      {"cond_stage_model.model.", "an SD 2.x checkpoint that lacks its UNet"},
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

const Family& identify_folder(const TensorIndex& index, const std::string& path) {
  // All parts have the same names in every family; only SD 2.x projects into its transformers by linear layers. Not every
  // level of a small network has one; the middle does.
  for (const char* name : {"unet.middle_block.1.proj_in.weight", "unet.input_blocks.1.1.proj_in.weight"}) {
    const auto projection = index.tensors.find(name);
    if (projection != index.tensors.end()) return kFamilies[projection->second->shape.size() == 2 ? 1 : 0];
  }
  throw Error(ErrorCode::kModelUnsupported, path + ": not a model that is built for (SD 1.x or 2.x): its UNet has no transformer in the middle");
}

IdentifiedModel identify(const WeightStore& store) {
  for (const Family& family : kFamilies) {
    IdentifiedModel model{&family, index_tensors(store, family.canonical_name, [&](const std::string& foreign, const std::string& canonical) {
                            return is_usual(family, foreign, canonical);
                          })};
    const bool has_unet = model.index.dim("unet.input_blocks.0.0.weight", 0).has_value();
    const bool has_text = model.index.dim(family.landmark, 0).has_value();
    if (has_unet && has_text) return model;
  }
  throw Error(ErrorCode::kModelUnsupported, store.path() + ": not a model that is built for (SD 1.x or 2.x in one file): " + resemblance(store));
}

}  // namespace sdgen
