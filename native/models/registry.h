#pragma once
// Families of models: how their files name tensors and how their dimensions are read. A family is one row.
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "models/config.h"

namespace sdgen {

struct Family {
  std::string_view id;
  std::optional<std::string> (*canonical_name)(std::string_view foreign);
  /// Some name that every file of the family has, canonical.
  std::string_view landmark;
  /// The original layout's prefix of the text tower.
  std::string_view text_prefix;
  ModelConfig (*read_config)(const TensorIndex&, const Facts&);
};

std::span<const Family> families();

struct IdentifiedModel {
  const Family* family;
  TensorIndex index;
};
/// The family of a folder of diffusers. Throws kModelUnsupported.
const Family& identify_folder(const TensorIndex& index, const std::string& path);
/// The family whose landmark the file has. Throws kModelUnsupported, saying what the file does look like.
IdentifiedModel identify(const WeightStore& store);

}  // namespace sdgen
