#pragma once
// Facts that config files state: those of a folder of diffusers, or one beside a single-file checkpoint.
#include "models/facts.h"
#include "weights/diffusers_folder.h"

namespace sdgen {

/// Throws kModelFormat for a value of the wrong kind, kModelUnsupported for networks that are not built.
StatedConfig read_folder_config(const DiffusersFolder& folder);

/// What `config.json` of an autoencoder states.
struct VaeStatement {
  std::optional<double> scale_factor;
  std::optional<int64_t> groups;
};
VaeStatement read_vae_config(const JsonValue& config);

/// What MODEL.json or MODEL.yaml beside MODEL.safetensors states, the JSON first; the files read are added to `files`.
StatedConfig read_config_beside(const std::string& checkpoint, std::vector<std::string>& files);

/// The text of a YAML of the original layout: model.params.parameterization, which is "eps" where it is left out.
std::optional<std::string> yaml_parameterization(std::string_view yaml);

}  // namespace sdgen
