#include "models/checkpoint.h"

#include "base/error.h"
#include "models/stated_config.h"
#include "weights/joined_store.h"
#include "weights/names/names.h"

namespace sdgen {
namespace {

constexpr const char* kOtherVae = "another VAE/";  // before the names of its tensors

std::vector<std::string_view> names_of(const WeightStore& store) {
  std::vector<std::string_view> names;
  for (const TensorInfo& tensor : store.tensors()) names.push_back(tensor.name);
  return names;
}

Facts facts_of(const WeightStore& store, const ModelOverrides& overrides, StatedConfig stated) {
  Facts facts;
  facts.overrides = overrides;
  facts.metadata = store.metadata();
  facts.stated = std::move(stated);
  facts.has_v_pred_key = store.find("v_pred") != nullptr;
  facts.has_ztsnr_key = store.find("ztsnr") != nullptr;
  return facts;
}

Checkpoint open_folder(const std::string& path, const ModelOverrides& overrides) {
  const DiffusersFolder folder = open_diffusers_folder(path);
  Checkpoint checkpoint;
  checkpoint.store = folder.store;
  checkpoint.files = folder.files;
  checkpoint.facts = facts_of(*folder.store, overrides, read_folder_config(folder));
  // Of the metadata of the UNet's file, the first of the store, what is ours; the rest ("format": "pt") says nothing.
  std::erase_if(checkpoint.facts.metadata, [](const auto& entry) { return !entry.first.starts_with("sdgen."); });
  checkpoint.facts.is_folder = true;
  checkpoint.index = index_tensors(*folder.store, DiffusersNames(names_of(*folder.store)), [](const std::string&, const std::string&) { return true; });
  checkpoint.family = &identify_folder(checkpoint.index, path);
  return checkpoint;
}

Checkpoint open_single_file(const std::string& path, const ModelOverrides& overrides) {
  Checkpoint checkpoint;
  checkpoint.store = open_safetensors(path);
  IdentifiedModel model = identify(*checkpoint.store);
  checkpoint.family = model.family;
  checkpoint.index = std::move(model.index);
  checkpoint.files = {path};
  checkpoint.facts = facts_of(*checkpoint.store, overrides, read_config_beside(path, checkpoint.files));
  return checkpoint;
}

struct OtherVae {
  std::shared_ptr<const WeightStore> store;
  VaeStatement stated;
  std::vector<std::string> files;
};

OtherVae open_vae(const std::string& path) {
  if (!is_folder(path)) return {open_safetensors(path), {}, {path}};
  DiffusersPart part = open_diffusers_part(path, "");
  return {part.store, read_vae_config(part.config), part.files};
}

/// Names of a VAE file: a VAE alone in the original layout or in diffusers', or a whole checkpoint's.
NameFn vae_names(const WeightStore& store) {
  std::vector<std::string> prefixed;
  for (const TensorInfo& tensor : store.tensors()) prefixed.push_back("vae/" + tensor.name);
  const DiffusersNames diffusers(std::vector<std::string_view>(prefixed.begin(), prefixed.end()));
  const bool is_diffusers = store.find("decoder.mid_block.resnets.0.conv1.weight") != nullptr;
  return [diffusers, is_diffusers](std::string_view name) -> std::optional<std::string> {
    if (is_diffusers) return diffusers(std::string("vae/").append(name));
    const std::optional<std::string> canonical = sd1_canonical_name(name);
    if (canonical) return canonical->starts_with("vae.") ? canonical : std::nullopt;
    return sd1_canonical_name(std::string("first_stage_model.").append(name));
  };
}

/// Puts another file's autoencoder in the place of the checkpoint's.
void replace_vae(Checkpoint& checkpoint, const std::string& path) {
  const OtherVae other = open_vae(path);
  const auto usual = [](const std::string&, const std::string&) { return true; };
  const TensorIndex index = index_tensors(*other.store, vae_names(*other.store), usual);
  if (!index.dim("vae.decoder.conv_in.weight", 0)) {
    throw Error(ErrorCode::kModelUnsupported, path + ": not a VAE that is built for: it has no decoder.conv_in.weight");
  }
  checkpoint.store = join_stores({{checkpoint.store, ""}, {other.store, kOtherVae}}, checkpoint.store->path());
  auto& tensors = checkpoint.index.tensors;
  for (auto it = tensors.lower_bound("vae."); it != tensors.end() && it->first.starts_with("vae."); it = tensors.erase(it)) {
    checkpoint.index.unused.push_back(it->second->name);
    checkpoint.index.renamed.erase(it->second->name);
  }
  for (const auto& [canonical, tensor] : index.tensors) tensors[canonical] = checkpoint.store->find(kOtherVae + tensor->name);
  for (const std::string& name : index.unused) checkpoint.index.unused.push_back(kOtherVae + name);
  checkpoint.vae_files = other.files;
  if (other.stated.scale_factor) checkpoint.facts.stated.scale_factor = other.stated.scale_factor;
  checkpoint.facts.stated.vae_groups = other.stated.groups;
}

}  // namespace

Checkpoint open_checkpoint(const std::string& path, const std::string& vae, const ModelOverrides& overrides) {
  Checkpoint checkpoint = is_folder(path) ? open_folder(path, overrides) : open_single_file(path, overrides);
  if (!vae.empty()) replace_vae(checkpoint, vae);
  return checkpoint;
}

}  // namespace sdgen
