// The original layout, SD 1.x and 2.x in one file. Variants that occur: the text tower without `text_model.` (files saved
// with older versions of transformers); names of a wrapping module (`module.`, `_orig_mod.`, `state_dict.`) before
// everything; a UNet saved as `diffusion_model.`; the autoencoder's attention as linear layers named as in diffusers
// (`to_q`, before that `query`).
#include <algorithm>
#include <array>
#include <utility>

#include "weights/names/names.h"

namespace sdgen {
namespace {

using Pair = std::pair<std::string_view, std::string_view>;

constexpr std::array<std::string_view, 3> kWrappers = {"module.", "_orig_mod.", "state_dict."};

constexpr std::array<Pair, 3> kParts = {{
    {"model.diffusion_model.", "unet."},
    {"diffusion_model.", "unet."},
    {"first_stage_model.", "vae."},
}};
constexpr std::array<std::string_view, 2> kClipPrefixes = {"cond_stage_model.transformer.text_model.", "cond_stage_model.transformer."};
constexpr std::string_view kOpenClipPrefix = "cond_stage_model.model.";

/// How the tensors of the networks begin: whatever else lies under a part's prefix (position_ids, a discriminator, a
/// vision tower, EMA shadows) does not take part in making a picture.
constexpr std::array<std::string_view, 15> kNetworks = {
    "unet.time_embed.",    "unet.label_emb.",    "unet.input_blocks.",    "unet.middle_block.",
    "unet.output_blocks.", "unet.out.",          "vae.encoder.",          "vae.decoder.",
    "vae.quant_conv.",     "vae.post_quant_conv.", "text.encoder.",        "text.final_layer_norm.",
    "text.embeddings.token_embedding.", "text.embeddings.position_embedding.", "text.text_projection.",
};

constexpr std::array<Pair, 9> kVaeAttention = {{
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

/// OpenCLIP's names below the tower -> CLIP's; longer ones first where one begins another.
constexpr std::array<Pair, 4> kOpenClip = {{
    {"token_embedding.", "embeddings.token_embedding."},
    {"positional_embedding", "embeddings.position_embedding.weight"},
    {"ln_final.", "final_layer_norm."},
    {"transformer.resblocks.", "encoder.layers."},
}};
constexpr std::array<Pair, 7> kOpenClipLayer = {{
    {"ln_1.", "layer_norm1."},
    {"ln_2.", "layer_norm2."},
    {"attn.in_proj_weight", "self_attn.in_proj.weight"},
    {"attn.in_proj_bias", "self_attn.in_proj.bias"},
    {"attn.out_proj.", "self_attn.out_proj."},
    {"mlp.c_fc.", "mlp.fc1."},
    {"mlp.c_proj.", "mlp.fc2."},
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

/// `name` with the first of `pairs` that it begins with exchanged; nullopt if it begins with none.
template <size_t N>
std::optional<std::string> exchanged(std::string_view name, const std::array<Pair, N>& pairs) {
  for (const auto& [from, to] : pairs) {
    if (name.starts_with(from)) return std::string(to).append(name.substr(from.size()));
  }
  return std::nullopt;
}

/// The name if it is one of the networks', with the autoencoder's attention in the original names.
std::optional<std::string> in_networks(std::string canonical) {
  const auto begins = [&](std::string_view network) { return canonical.starts_with(network); };
  if (std::none_of(kNetworks.begin(), kNetworks.end(), begins)) return std::nullopt;
  for (const std::string_view block : {"vae.encoder.mid.attn_1.", "vae.decoder.mid.attn_1."}) {
    if (!canonical.starts_with(block)) continue;
    const auto renamed = exchanged(std::string_view(canonical).substr(block.size()), kVaeAttention);
    if (renamed) return std::string(block) + *renamed;
  }
  return canonical;
}

std::optional<std::string> open_clip_name(std::string_view below) {
  std::optional<std::string> name = exchanged(below, kOpenClip);
  constexpr std::string_view kLayers = "encoder.layers.";
  if (!name || !name->starts_with(kLayers)) return name;
  const size_t dot = name->find('.', kLayers.size());
  if (dot == std::string::npos) return std::nullopt;
  const auto layer = exchanged(std::string_view(*name).substr(dot + 1), kOpenClipLayer);
  if (!layer) return std::nullopt;
  return name->substr(0, dot + 1) + *layer;
}

std::optional<std::string> unet_or_vae(std::string_view name) {
  std::optional<std::string> canonical = exchanged(name, kParts);
  return canonical ? in_networks(*std::move(canonical)) : std::nullopt;
}

}  // namespace

std::optional<std::string> sd1_canonical_name(std::string_view foreign) {
  const std::string_view name = unwrapped(foreign);
  for (const std::string_view prefix : kClipPrefixes) {
    if (name.starts_with(prefix)) return in_networks(std::string("text.").append(name.substr(prefix.size())));
  }
  return unet_or_vae(name);
}

std::optional<std::string> sd2_canonical_name(std::string_view foreign) {
  const std::string_view name = unwrapped(foreign);
  if (!name.starts_with(kOpenClipPrefix)) return unet_or_vae(name);
  const auto below = open_clip_name(name.substr(kOpenClipPrefix.size()));
  return below ? in_networks("text." + *below) : std::nullopt;
}

}  // namespace sdgen
