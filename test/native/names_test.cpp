#include "weights/names/names.h"

#include <set>

#include "check.h"

namespace {

bool becomes(std::string_view foreign, std::string_view canonical) {
  return sdgen::sd1_canonical_name(foreign) == canonical;
}

}  // namespace

TEST(names_sd1_plain) {
  CHECK(becomes("model.diffusion_model.input_blocks.1.0.in_layers.0.bias", "unet.input_blocks.1.0.in_layers.0.bias"));
  CHECK(becomes("model.diffusion_model.time_embed.0.bias", "unet.time_embed.0.bias"));
  CHECK(becomes("model.diffusion_model.middle_block.1.norm.weight", "unet.middle_block.1.norm.weight"));
  CHECK(becomes("model.diffusion_model.output_blocks.11.1.proj_out.bias", "unet.output_blocks.11.1.proj_out.bias"));
  CHECK(becomes("model.diffusion_model.out.2.weight", "unet.out.2.weight"));
  CHECK(becomes("first_stage_model.decoder.up.3.block.0.conv1.weight", "vae.decoder.up.3.block.0.conv1.weight"));
  CHECK(becomes("first_stage_model.encoder.down.0.downsample.conv.bias", "vae.encoder.down.0.downsample.conv.bias"));
  CHECK(becomes("first_stage_model.quant_conv.weight", "vae.quant_conv.weight"));
  CHECK(becomes("first_stage_model.post_quant_conv.bias", "vae.post_quant_conv.bias"));
  CHECK(becomes("cond_stage_model.transformer.text_model.encoder.layers.0.self_attn.q_proj.weight",
                "text.encoder.layers.0.self_attn.q_proj.weight"));
  CHECK(becomes("cond_stage_model.transformer.text_model.embeddings.token_embedding.weight",
                "text.embeddings.token_embedding.weight"));
  CHECK(becomes("cond_stage_model.transformer.text_model.final_layer_norm.weight", "text.final_layer_norm.weight"));
}

TEST(names_sd1_variants) {
  CHECK(becomes("cond_stage_model.transformer.encoder.layers.11.mlp.fc1.bias", "text.encoder.layers.11.mlp.fc1.bias"));
  CHECK(becomes("cond_stage_model.transformer.embeddings.position_embedding.weight",
                "text.embeddings.position_embedding.weight"));
  CHECK(becomes("cond_stage_model.transformer.final_layer_norm.bias", "text.final_layer_norm.bias"));
  CHECK(becomes("diffusion_model.out.0.bias", "unet.out.0.bias"));
  CHECK(becomes("module.model.diffusion_model.out.0.bias", "unet.out.0.bias"));
  CHECK(becomes("state_dict.module._orig_mod.first_stage_model.quant_conv.bias", "vae.quant_conv.bias"));
}

TEST(names_sd1_vae_attention) {
  for (const std::string side : {"encoder", "decoder"}) {
    const std::string from = "first_stage_model." + side + ".mid.attn_1.", to = "vae." + side + ".mid.attn_1.";
    for (const std::string kind : {"weight", "bias"}) {
      for (const char* own : {"norm.", "q.", "k.", "v.", "proj_out."}) {
        CHECK(becomes(from + own + kind, to + own + kind));
      }
      CHECK(becomes(from + "group_norm." + kind, to + "norm." + kind));
      for (const char* letter : {"q.", "k.", "v."}) CHECK(becomes(from + "to_" + letter + kind, to + letter + kind));
      CHECK(becomes(from + "to_out.0." + kind, to + "proj_out." + kind));
      CHECK(becomes(from + "query." + kind, to + "q." + kind));
      CHECK(becomes(from + "key." + kind, to + "k." + kind));
      CHECK(becomes(from + "value." + kind, to + "v." + kind));
      CHECK(becomes(from + "proj_attn." + kind, to + "proj_out." + kind));
    }
  }
  // Elsewhere these names are the layout's own.
  CHECK(becomes("model.diffusion_model.input_blocks.1.1.transformer_blocks.0.attn1.to_out.0.weight",
                "unet.input_blocks.1.1.transformer_blocks.0.attn1.to_out.0.weight"));
}

TEST(names_sd2_open_clip) {
  const auto named = [](std::string_view below) { return sdgen::sd2_canonical_name(std::string("cond_stage_model.model.").append(below)); };
  CHECK(named("token_embedding.weight") == "text.embeddings.token_embedding.weight");
  CHECK(named("positional_embedding") == "text.embeddings.position_embedding.weight");
  CHECK(named("ln_final.bias") == "text.final_layer_norm.bias");
  CHECK(named("transformer.resblocks.22.ln_1.weight") == "text.encoder.layers.22.layer_norm1.weight");
  CHECK(named("transformer.resblocks.0.ln_2.bias") == "text.encoder.layers.0.layer_norm2.bias");
  CHECK(named("transformer.resblocks.0.attn.in_proj_weight") == "text.encoder.layers.0.self_attn.in_proj.weight");
  CHECK(named("transformer.resblocks.0.attn.in_proj_bias") == "text.encoder.layers.0.self_attn.in_proj.bias");
  CHECK(named("transformer.resblocks.0.attn.out_proj.weight") == "text.encoder.layers.0.self_attn.out_proj.weight");
  CHECK(named("transformer.resblocks.0.mlp.c_fc.bias") == "text.encoder.layers.0.mlp.fc1.bias");
  CHECK(named("transformer.resblocks.0.mlp.c_proj.weight") == "text.encoder.layers.0.mlp.fc2.weight");
  CHECK(sdgen::sd2_canonical_name("module.model.diffusion_model.out.0.bias") == "unet.out.0.bias");
  CHECK(sdgen::sd2_canonical_name("first_stage_model.decoder.mid.attn_1.to_q.weight") == "vae.decoder.mid.attn_1.q.weight");
  for (const char* below : {"", "text_projection", "logit_scale", "attn_mask", "transformer.resblocks.", "transformer.resblocks.0",
                            "transformer.resblocks.0.other.weight", "visual.transformer.resblocks.0.ln_1.weight"}) {
    CHECK_MSG(!named(below), below);
  }
  CHECK(!sdgen::sd2_canonical_name("cond_stage_model.transformer.text_model.final_layer_norm.weight"));
}

TEST(names_sd1_drops) {
  for (const char* name :
       {"", "betas", "alphas_cumprod", "alphas_cumprod_prev", "sqrt_alphas_cumprod", "sqrt_one_minus_alphas_cumprod",
        "log_one_minus_alphas_cumprod", "sqrt_recip_alphas_cumprod", "sqrt_recipm1_alphas_cumprod",
        "posterior_variance", "posterior_log_variance_clipped", "posterior_mean_coef1", "logvar", "scale_factor",
        "model_ema.decay",
        "model_ema.num_updates", "model_ema.diffusion_modelinput_blocks00weight", "loss.logvar",
        "cond_stage_model.transformer.text_model.embeddings.position_ids",
        "cond_stage_model.transformer.embeddings.position_ids",
        "cond_stage_model.transformer.vision_model.encoder.layers.0.mlp.fc1.weight",
        "cond_stage_model.model.ln_final.weight", "cond_stage_model.logit_scale",
        "conditioner.embedders.0.transformer.text_model.final_layer_norm.weight",
        "first_stage_model.loss.discriminator.main.0.weight", "first_stage_model.model_ema.decay", "first_stage_model.",
        "model.diffusion_model.", "model.diffusion_modelx.out.0.bias", "control_model.input_blocks.0.0.weight",
        "embedding_manager.embedder.transformer.text_model.final_layer_norm.weight", "unet.out.0.bias", "module."}) {
    CHECK_MSG(!sdgen::sd1_canonical_name(name), name);
  }
}
