#include "bench/architectures.h"

#include "base/error.h"

namespace sdgen::bench {
namespace {

ModelConfig sd1() {
  ModelConfig c;
  c.text = {.width = 768, .layers = 12, .mlp = 3072, .vocabulary = 49408, .positions = 77, .heads = {12}};
  c.unet = {.in_channels = 4, .out_channels = 4, .model_channels = 320, .context_width = 768, .middle_depth = 1,
            .levels = {{320, 2, 1}, {640, 2, 1}, {1280, 2, 1}, {1280, 2, 0}}, .heads = {{8, 8, 8, 8}}};
  c.vae = {.latent_channels = 4, .channels = 128, .widths = {128, 256, 512, 512}, .res_blocks = 2, .scale_factor = {0.18215}};
  return c;
}

ModelConfig sd2() {
  ModelConfig c = sd1();
  c.text = {.width = 1024, .layers = 24, .mlp = 4096, .vocabulary = 49408, .positions = 77, .heads = {16},
            .activation = Activation::kGelu, .fixed_skip = 2, .tokenizer = TokenizerKind::kOpenClip};
  c.unet.context_width = 1024;
  c.unet.heads = {{5, 10, 20, 20}};
  return c;
}

struct Row {
  const char* name;
  ModelConfig (*config)();
};
constexpr Row kArchitectures[] = {{"sd1", sd1}, {"sd2", sd2}};

}  // namespace

ModelConfig architecture(const std::string& name) {
  std::string known;
  for (const Row& row : kArchitectures) {
    if (name == row.name) return row.config();
    known += (known.empty() ? "" : ", ") + std::string(row.name);
  }
  throw Error(ErrorCode::kInvalidArgument, "arch '" + name.substr(0, 40) + "' is unknown; known: " + known);
}

std::vector<std::string> architectures() {
  std::vector<std::string> names;
  for (const Row& row : kArchitectures) names.emplace_back(row.name);
  return names;
}

}  // namespace sdgen::bench
