#pragma once
// Foreign tensor name -> canonical name: pure functions, one file a layout.
// Canonical names are those of the original single-file layout with the part's prefix replaced:
//   unet.input_blocks.1.0.in_layers.0.weight   (model.diffusion_model.…)
//   vae.decoder.up.3.block.0.conv1.weight      (first_stage_model.…)
//   text.encoder.layers.0.self_attn.q_proj.weight, text.embeddings.token_embedding.weight, text.final_layer_norm.weight
#include <optional>
#include <string>
#include <string_view>

namespace sdgen {

/// SD 1.x single file, with its known variants of prefix. nullopt: not a tensor of the networks (EMA copies,
/// position_ids, schedule tables, …).
std::optional<std::string> sd1_canonical_name(std::string_view foreign);

}  // namespace sdgen
