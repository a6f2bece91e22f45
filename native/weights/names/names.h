#pragma once
// Foreign tensor name -> canonical name: pure functions, one file a layout.
// Canonical names are those of the original single-file layout with the part's prefix replaced:
//   unet.input_blocks.1.0.in_layers.0.weight   (model.diffusion_model.…)
//   vae.decoder.up.3.block.0.conv1.weight      (first_stage_model.…)
//   text.encoder.layers.0.self_attn.q_proj.weight, text.embeddings.token_embedding.weight, text.final_layer_norm.weight
#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace sdgen {

/// SD 1.x single file, with its known variants of prefix. nullopt: not a tensor of the networks (EMA copies,
/// position_ids, schedule tables, …).
std::optional<std::string> sd1_canonical_name(std::string_view foreign);
/// SD 2.x single file: OpenCLIP's tower under CLIP's names. Its q, k and v in one are `self_attn.in_proj.weight`.
std::optional<std::string> sd2_canonical_name(std::string_view foreign);

/// Names of a folder of diffusers with their subfolder before them: "unet/down_blocks.0.resnets.0.norm1.weight". How many
/// blocks a level has is learnt from all names at once.
class DiffusersNames {
 public:
  explicit DiffusersNames(const std::vector<std::string_view>& names);
  std::optional<std::string> operator()(std::string_view foreign) const;

 private:
  std::optional<std::string> unet(std::string_view foreign) const;
  std::optional<std::string> vae(std::string_view foreign) const;

  int64_t res_blocks_ = 0;      // of a level on the UNet's way down
  int64_t vae_levels_ = 0;
  std::set<int64_t> attended_;  // levels on the way up that have transformers
};

}  // namespace sdgen
