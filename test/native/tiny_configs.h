#pragma once
// Configurations by hand: the size of SD 1.x, and a tiny one of the same structure.
#include "models/config.h"

namespace sdgen_test {

inline sdgen::ModelConfig sd1_config() {
  sdgen::ModelConfig c;
  c.text = {.width = 768, .layers = 12, .mlp = 3072, .vocabulary = 49408, .positions = 77, .heads = {12}};
  c.unet = {.in_channels = 4, .out_channels = 4, .model_channels = 320, .context_width = 768, .middle_depth = 1,
            .levels = {{320, 2, 1}, {640, 2, 1}, {1280, 2, 1}, {1280, 2, 0}}, .heads = {{8, 8, 8, 8}}};
  c.vae = {
      .latent_channels = 4, .channels = 128, .widths = {128, 256, 512, 512}, .res_blocks = 2, .scale_factor = {0.18215}};
  return c;
}

inline sdgen::ModelConfig tiny_config() {
  sdgen::ModelConfig c;
  c.text = {.width = 32, .layers = 2, .mlp = 64, .vocabulary = 64, .positions = 8, .heads = {4}};
  c.unet = {.in_channels = 4, .out_channels = 4, .model_channels = 32, .context_width = 32, .middle_depth = 1,
            .levels = {{32, 1, 1}, {64, 1, 0}}, .heads = {{8, 8}}};
  c.vae = {.latent_channels = 4, .channels = 32, .widths = {32, 64}, .res_blocks = 1, .scale_factor = {0.18215}};
  return c;
}

}  // namespace sdgen_test
