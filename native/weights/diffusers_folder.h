#pragma once
// A model as a folder of diffusers: a subfolder a part, each with its config and its weights in one file or in shards.
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/json.h"
#include "weights/store.h"

namespace sdgen {

struct DiffusersFolder {
  /// All weights; names begin with their subfolder: "unet/", "vae/" or "text_encoder/".
  std::shared_ptr<const WeightStore> store;
  JsonValue unet, vae, text_encoder;   // config.json of each
  std::optional<JsonValue> scheduler;  // scheduler_config.json
  std::vector<std::string> files;      // paths of all that decides the pictures, the tokenizer's included; sorted
};

/// Whether `path` is a folder (of whatever kind).
bool is_folder(const std::string& path) noexcept;

/// Opens a folder with a model_index.json: reads its small files and the headers of its weights. Full-precision weights
/// come before an fp16 variant. A name in an index of shards must be one of a file in the same subfolder. Throws kIo,
/// kModelFormat, kModelUnsupported (another pipeline, weights as pickle) with the path and what is missing.
DiffusersFolder open_diffusers_folder(const std::string& path);

/// One part alone, e.g. the `vae` of another model: a folder with a config.json. Names begin with `prefix`.
struct DiffusersPart {
  std::shared_ptr<const WeightStore> store;
  JsonValue config;
  std::vector<std::string> files;
};
DiffusersPart open_diffusers_part(const std::string& path, const std::string& prefix);

}  // namespace sdgen
