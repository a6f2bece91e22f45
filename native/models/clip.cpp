// Radford et al., Learning Transferable Visual Models From Natural Language Supervision: the text transformer. OpenCLIP's
// (Cherti et al., Reproducible scaling laws) is the same with another activation.
#include "models/clip.h"

namespace sdgen {
namespace {

ValueId self_attention(Builder& b, const Scope& s, ValueId x, ValueId residual, int64_t width, int64_t heads) {
  const ValueId q = b.linear(s / "q_proj", x, width);
  const ValueId k = b.linear(s / "k_proj", x, width);
  const ValueId v = b.linear(s / "v_proj", x, width);
  return b.linear(s / "out_proj", b.attention(q, k, v, heads, true), width, {.residual = residual});
}

ValueId layer(Builder& b, const Scope& s, ValueId x, const TextConfig& config) {
  x = self_attention(b, s / "self_attn", b.layer_norm(s / "layer_norm1", x), x, config.width, config.heads.value);
  const ValueId h = b.layer_norm(s / "layer_norm2", x);
  const ValueId wide = b.linear(s / "mlp.fc1", h, config.mlp, {.activation = config.activation});
  return b.linear(s / "mlp.fc2", wide, config.width, {.residual = x});
}

}  // namespace

Program build_clip_text(const TextConfig& config, int64_t chunks, int clip_skip, bool keep_marks) {
  Builder b("text", keep_marks);
  const Scope text("text");
  const ValueId ids = b.input("ids", {chunks, config.positions});
  ValueId x = b.token_embedding("text.embeddings.token_embedding.weight", "text.embeddings.position_embedding.weight", ids,
                                config.vocabulary, config.positions, config.width);
  b.mark("text.embeddings", x);
  const int64_t wanted = config.layers - (clip_skip - 1);
  for (int64_t i = 0; i < wanted; ++i) x = layer(b, text / "encoder.layers" / i, x, config);
  b.mark("text.hidden", x);
  b.output("text.out", b.layer_norm(text / "final_layer_norm", x));
  if (!config.pools || wanted == config.layers) return b.finish();
  for (int64_t i = wanted; i < config.layers; ++i) x = layer(b, text / "encoder.layers" / i, x, config);
  b.output("text.last", b.layer_norm(text / "final_layer_norm", x));
  return b.finish();
}

Program build_text_projection(const TextConfig& config, int64_t rows) {
  Builder b("text");
  const ValueId pooled = b.input("pooled", {rows, config.width});
  b.output("text.projected", b.linear("text.text_projection", pooled, config.projection, {.bias = false}));
  return b.finish();
}

}  // namespace sdgen
