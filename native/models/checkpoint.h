#pragma once
// From a path to named tensors and facts, whatever the layout: one file, a folder of diffusers, another file's VAE.
#include <memory>
#include <string>
#include <vector>

#include "models/registry.h"

namespace sdgen {

struct Checkpoint {
  std::shared_ptr<const WeightStore> store;
  const Family* family = nullptr;
  TensorIndex index;
  Facts facts;
  std::vector<std::string> files;      // all that decides the pictures
  std::vector<std::string> vae_files;  // those of another VAE
};

/// `vae`: a file or folder whose autoencoder takes the place of the model's own; empty for none. Reads headers and
/// config files, no weight. Throws kIo, kModelFormat, kModelUnsupported.
Checkpoint open_checkpoint(const std::string& path, const std::string& vae, const ModelOverrides& overrides);

}  // namespace sdgen
