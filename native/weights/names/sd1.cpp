// SD 1.x in one file. Variants that occur: the text tower without `text_model.` (files saved with older versions of
// transformers); names of a wrapping module (`module.`, `_orig_mod.`, `state_dict.`) before everything; a UNet saved as
// `diffusion_model.`; the autoencoder's attention as linear layers named as in diffusers (`to_q`, before that `query`).
#include <array>
#include <utility>

#include "weights/names/names.h"

namespace sdgen {
namespace {

using Pair = std::pair<std::string_view, std::string_view>;

constexpr std::array<std::string_view, 3> kWrappers = {"module.", "_orig_mod.", "state_dict."};

constexpr std::array<Pair, 5> kParts = {{
    {"model.diffusion_model.", "unet."},
    {"diffusion_model.", "unet."},
    {"first_stage_model.", "vae."},
    {"cond_stage_model.transformer.text_model.", "text."},
    {"cond_stage_model.transformer.", "text."},
}};

/// How the tensors of the networks begin: whatever else lies under a part's prefix (position_ids, a discriminator, a
/// vision tower, EMA shadows) does not take part in making a picture.
constexpr std::array<std::string_view, 14> kNetworks = {
    "unet.time_embed.",    "unet.label_emb.",    "unet.input_blocks.",    "unet.middle_block.",
    "unet.output_blocks.", "unet.out.",          "vae.encoder.",          "vae.decoder.",
    "vae.quant_conv.",     "vae.post_quant_conv.", "text.encoder.",        "text.final_layer_norm.",
    "text.embeddings.token_embedding.", "text.embeddings.position_embedding.",
};

constexpr std::array<Pair, 9> kAttention = {{
    {"group_norm.", "norm."},
    {"to_q.", "q."},
    {"to_k.", "k."},
    {"to_v.", "v."},
    {"to_out.0.", "proj_out."},
    {"query.", "q."},
    {"key.", "k."},
    {"value.", "v."},
    {"proj_attn.", "proj_out."},
}};

std::string_view unwrapped(std::string_view name) {
  for (bool again = true; again;) {
    again = false;
    for (const std::string_view wrapper : kWrappers) {
      if (!name.starts_with(wrapper)) continue;
      name.remove_prefix(wrapper.size());
      again = true;
    }
  }
  return name;
}

std::string with_ldm_attention(std::string name) {
  for (const std::string_view block : {"vae.encoder.mid.attn_1.", "vae.decoder.mid.attn_1."}) {
    if (!name.starts_with(block)) continue;
    for (const auto& [from, to] : kAttention) {
      if (name.compare(block.size(), from.size(), from) == 0) return name.replace(block.size(), from.size(), to);
    }
  }
  return name;
}

}  // namespace

std::optional<std::string> sd1_canonical_name(std::string_view foreign) {
  const std::string_view name = unwrapped(foreign);
  for (const auto& [prefix, part] : kParts) {
    if (!name.starts_with(prefix)) continue;
    std::string canonical = std::string(part).append(name.substr(prefix.size()));
    for (const std::string_view network : kNetworks) {
      if (canonical.starts_with(network)) return with_ldm_attention(std::move(canonical));
    }
    return std::nullopt;
  }
  return std::nullopt;
}

}  // namespace sdgen
