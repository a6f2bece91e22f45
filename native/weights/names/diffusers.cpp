// diffusers' own names of UNet and autoencoder, and transformers' of CLIP. Their blocks are counted within levels, the
// original ones through all of them, so the levels' sizes must be known first.
#include <algorithm>
#include <array>
#include <charconv>
#include <utility>

#include "weights/names/names.h"

namespace sdgen {
namespace {

using Pair = std::pair<std::string_view, std::string_view>;

constexpr int64_t kMaxCount = 64;

constexpr std::array<Pair, 7> kUnetEnds = {{
    {"time_embedding.linear_1.", "time_embed.0."},
    {"time_embedding.linear_2.", "time_embed.2."},
    {"add_embedding.linear_1.", "label_emb.0.0."},
    {"add_embedding.linear_2.", "label_emb.0.2."},
    {"conv_in.", "input_blocks.0.0."},
    {"conv_norm_out.", "out.0."},
    {"conv_out.", "out.2."},
}};
constexpr std::array<Pair, 6> kUnetResnet = {{
    {"norm1.", "in_layers.0."},
    {"conv1.", "in_layers.2."},
    {"time_emb_proj.", "emb_layers.1."},
    {"norm2.", "out_layers.0."},
    {"conv2.", "out_layers.3."},
    {"conv_shortcut.", "skip_connection."},
}};
constexpr std::array<Pair, 5> kVaeResnet = {{
    {"norm1.", "norm1."},
    {"conv1.", "conv1."},
    {"norm2.", "norm2."},
    {"conv2.", "conv2."},
    {"conv_shortcut.", "nin_shortcut."},
}};
/// Newer files' names first, then those of before diffusers 0.18.
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

/// Reads a name from the left.
class Reader {
 public:
  explicit Reader(std::string_view name) : rest_(name) {}
  bool take(std::string_view text) {
    if (!rest_.starts_with(text)) return false;
    rest_.remove_prefix(text.size());
    return true;
  }
  /// A number and the dot after it.
  bool take_number(int64_t& number) {
    const auto [end, failed] = std::from_chars(rest_.data(), rest_.data() + rest_.size(), number);
    if (failed != std::errc{} || end == rest_.data() + rest_.size() || *end != '.' || number < 0 || number >= kMaxCount) return false;
    rest_.remove_prefix(static_cast<size_t>(end - rest_.data()) + 1);
    return true;
  }
  std::string_view rest() const { return rest_; }

 private:
  std::string_view rest_;
};

std::string dotted(std::initializer_list<std::string> parts) {
  std::string out;
  for (const std::string& part : parts) out += part + ".";
  return out;
}
std::string text(int64_t n) { return std::to_string(n); }

template <size_t N>
std::optional<std::string> exchanged(const std::string& before, std::string_view name, const std::array<Pair, N>& pairs) {
  for (const auto& [from, to] : pairs) {
    if (name.starts_with(from)) return before + std::string(to).append(name.substr(from.size()));
  }
  return std::nullopt;
}

/// The side of a level's blocks: "down_blocks.2.attentions.0." …
struct Block {
  int64_t level = 0;
  enum class Kind { kResnet, kAttention, kResampler } kind = Kind::kResnet;
  int64_t index = 0;
};
std::optional<Block> read_block(Reader& name, std::string_view resampler) {
  Block block;
  if (!name.take_number(block.level)) return std::nullopt;
  if (name.take("resnets.")) block.kind = Block::Kind::kResnet;
  else if (name.take("attentions.")) block.kind = Block::Kind::kAttention;
  else if (name.take(resampler)) block.kind = Block::Kind::kResampler;
  else return std::nullopt;
  if (!name.take_number(block.index)) return std::nullopt;
  return block;
}

}  // namespace

DiffusersNames::DiffusersNames(const std::vector<std::string_view>& names) {
  for (const std::string_view name : names) {
    Reader reader(name);
    int64_t level = 0;
    if (reader.take("vae/decoder.up_blocks.") && reader.take_number(level)) vae_levels_ = std::max(vae_levels_, level + 1);
    reader = Reader(name);
    if (reader.take("unet/down_blocks.")) {
      const auto block = read_block(reader, "downsamplers.");
      if (block && block->kind == Block::Kind::kResnet) res_blocks_ = std::max(res_blocks_, block->index + 1);
    }
    reader = Reader(name);
    if (reader.take("unet/up_blocks.")) {
      const auto block = read_block(reader, "upsamplers.");
      if (block && block->kind == Block::Kind::kAttention) attended_.insert(block->level);
    }
  }
}

std::optional<std::string> DiffusersNames::operator()(std::string_view foreign) const {
  Reader name(foreign);
  if (name.take("unet/")) return unet(name.rest());
  if (name.take("vae/")) return vae(name.rest());
  if (!name.take("text_encoder/")) return std::nullopt;
  name.take("text_model.");
  return sd1_canonical_name(std::string("cond_stage_model.transformer.text_model.").append(name.rest()));
}

std::optional<std::string> DiffusersNames::unet(std::string_view foreign) const {
  if (const auto end = exchanged("unet.", foreign, kUnetEnds)) return end;
  Reader name(foreign);
  std::string place;
  int64_t index = 0;
  if (name.take("mid_block.resnets.") && name.take_number(index)) {
    return exchanged(dotted({"unet.middle_block", text(2 * index)}), name.rest(), kUnetResnet);
  }
  name = Reader(foreign);
  if (name.take("mid_block.attentions.0.")) return "unet.middle_block.1." + std::string(name.rest());
  const bool down = name.take("down_blocks.");
  if (!down && !name.take("up_blocks.")) return std::nullopt;
  const auto block = read_block(name, down ? "downsamplers." : "upsamplers.");
  if (!block) return std::nullopt;
  // A level of the way down is its blocks and the downsampler, one of the way up has a block more and no place of its own
  // for the upsampler, which follows the last block.
  const int64_t each = res_blocks_ + 1;
  const std::string root = down ? "unet.input_blocks" : "unet.output_blocks";
  const int64_t first = down ? 1 + each * block->level : each * block->level;
  switch (block->kind) {
    case Block::Kind::kResnet:
      return exchanged(dotted({root, text(first + block->index), "0"}), name.rest(), kUnetResnet);
    case Block::Kind::kAttention:
      return dotted({root, text(first + block->index), "1"}) + std::string(name.rest());
    case Block::Kind::kResampler:
      if (!name.take("conv.")) return std::nullopt;
      if (down) return dotted({root, text(first + res_blocks_), "0.op"}) + std::string(name.rest());
      return dotted({root, text(first + res_blocks_), attended_.contains(block->level) ? "2" : "1", "conv"}) + std::string(name.rest());
  }
  return std::nullopt;
}

std::optional<std::string> DiffusersNames::vae(std::string_view foreign) const {
  Reader name(foreign);
  for (const char* conv : {"quant_conv.", "post_quant_conv."}) {
    if (name.take(conv)) return "vae." + std::string(conv).append(name.rest());
  }
  const bool encoder = name.take("encoder.");
  if (!encoder && !name.take("decoder.")) return std::nullopt;
  const std::string side = encoder ? "vae.encoder." : "vae.decoder.";
  for (const auto& [from, to] : {Pair{"conv_in.", "conv_in."}, {"conv_norm_out.", "norm_out."}, {"conv_out.", "conv_out."}}) {
    if (name.take(from)) return side + std::string(to).append(name.rest());
  }
  int64_t index = 0;
  if (name.take("mid_block.")) {
    if (name.take("attentions.0.")) return exchanged(side + "mid.attn_1.", name.rest(), kVaeAttention);
    if (!name.take("resnets.") || !name.take_number(index)) return std::nullopt;
    return exchanged(side + dotted({"mid", "block_" + text(index + 1)}), name.rest(), kVaeResnet);
  }
  if (!name.take(encoder ? "down_blocks." : "up_blocks.")) return std::nullopt;
  const auto block = read_block(name, encoder ? "downsamplers." : "upsamplers.");
  if (!block || (!encoder && block->level >= vae_levels_)) return std::nullopt;
  // The original's levels of the decoder are numbered from the picture, as the encoder's are.
  const std::string level = side + (encoder ? dotted({"down", text(block->level)}) : dotted({"up", text(vae_levels_ - 1 - block->level)}));
  if (block->kind == Block::Kind::kResnet) return exchanged(level + dotted({"block", text(block->index)}), name.rest(), kVaeResnet);
  if (block->kind == Block::Kind::kResampler && name.take("conv.")) return level + (encoder ? "downsample.conv." : "upsample.conv.") + std::string(name.rest());
  return std::nullopt;
}

}  // namespace sdgen
