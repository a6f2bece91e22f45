#pragma once
// A whole checkpoint of the SD 1.x structure with tiny widths, written to the scratch folder.
#include <algorithm>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <memory>
#include <string>
#include <vector>

#include "engine/describe.h"
#include "engine/engine.h"
#include "op_bench.h"
#include "tiny_configs.h"

namespace sdgen_test {

/// The name in a single-file checkpoint of a canonical one.
inline std::string file_name(const std::string& canonical) {
  constexpr std::pair<const char*, const char*> kParts[] = {{"unet.", "model.diffusion_model."},
                                                            {"vae.", "first_stage_model."},
                                                            {"text.", "cond_stage_model.transformer.text_model."}};
  for (const auto& [ours, theirs] : kParts) {
    if (canonical.starts_with(ours)) return theirs + canonical.substr(std::string(ours).size());
  }
  return canonical;
}

class TinyFile {
 public:
  /// `pooled`: width of the text that takes part in the timestep embedding; `further`: input channels after the latent's.
  explicit TinyFile(int64_t pooled = 0, int64_t further = 0) {
    Numbers numbers(2024);
    sdgen::ModelConfig config = tiny_config();
    config.unet.pooled_width = pooled;
    config.unet.in_channels += further;
    add(sdgen::part_weights(config).all(), numbers);
    metadata["sdgen.text_heads"] = "4";
  }
  /// With the VAE's encoder, which files may lack.
  TinyFile& with_encoder() {
    Numbers numbers(77);
    add(sdgen::part_weights(tiny_config()).encoder, numbers);
    return *this;
  }
  void add(const std::vector<sdgen::WeightUse>& uses, Numbers& numbers) {
    for (const sdgen::WeightUse& use : uses) {
      const int64_t count = Bench::elements(use), fan_in = count / use.shape[0];
      const bool gain = use.layout == sdgen::WeightLayout::kVector && use.name.ends_with("weight");
      // Small enough to stay finite through the depth, large enough that every weight shows in the result.
      const float scale = use.layout == sdgen::WeightLayout::kVector || use.layout == sdgen::WeightLayout::kTable
                              ? 0.3f
                              : 1.6f / std::sqrt(static_cast<float>(fan_in));
      tensors.push_back(f32(file_name(use.name), use.shape, numbers.values(count, scale, gain ? 1.0f : 0.0f)));
    }
  }

  std::vector<sdgen::NamedTensor> tensors;
  std::map<std::string, std::string> metadata;

  sdgen::NamedTensor& tensor(const std::string& canonical) {
    const auto at =
        std::find_if(tensors.begin(), tensors.end(), [&](const auto& t) { return t.name == file_name(canonical); });
    if (at == tensors.end()) throw sdgen::Error(sdgen::ErrorCode::kInternal, "the tiny model has no " + canonical);
    return *at;
  }
  void remove(const std::string& canonical) { tensors.erase(tensors.begin() + (&tensor(canonical) - tensors.data())); }
  void reshape(const std::string& canonical, std::vector<int64_t> shape) {
    int64_t count = 1;
    for (int64_t d : shape) count *= d;
    tensor(canonical) = f32(file_name(canonical), shape, Floats(static_cast<size_t>(count), 0.5f));
  }
  /// Makes one value of it that bit pattern's.
  void plant(const std::string& canonical, float value) {
    std::memcpy(tensor(canonical).data.data(), &value, sizeof value);
  }

  std::unique_ptr<sdgen::Engine> open(const sdgen::ModelOverrides& overrides = {}, int threads = 1) const {
    const std::string path = scratch("tiny.safetensors");
    std::filesystem::remove(path);  // engines that have it open keep their own
    const std::vector<unsigned char> bytes = sdgen::safetensors_bytes(tensors, metadata);
    std::ofstream(path, std::ios::binary | std::ios::trunc)
        .write(reinterpret_cast<const char*>(bytes.data()), static_cast<std::streamsize>(bytes.size()));
    return sdgen::Engine::open({.path = path, .threads = threads, .overrides = overrides});
  }
};

/// Seeded features of that many tokens.
inline sdgen::Conditioning features(int64_t tokens, uint64_t seed) {
  return {Numbers(seed).values(tokens * 32), tokens, 32};
}

inline sdgen::SampleRequest tiny_request() {
  sdgen::SampleRequest request;
  request.latent_width = 5;
  request.latent_height = 3;
  request.seeds = {11};
  request.sampler = "euler";
  request.sigmas = {14.6f, 5.0f, 1.0f, 0.0f};
  request.cfg_scale = 7.5;
  request.conditionings = {features(8, 1), features(8, 2)};
  request.parts = {{1, {{1000, 0}}}};
  request.uncond = {{1000, 1}};
  return request;
}

/// The conditioning of one text.
inline sdgen::Conditioning encode(sdgen::Engine& engine, const std::vector<sdgen::Chunk>& chunks, int clip_skip = 1,
                                  const sdgen::RunControl& control = {}) {
  return engine.encode_text({.groups = {{{chunks}}}, .clip_skip = clip_skip}, control)[0][0];
}

/// tiny_request for that sampler: with timesteps where it walks them, above 0 where it must end there.
inline sdgen::SampleRequest tiny_request(const std::string& sampler) {
  sdgen::SampleRequest request = tiny_request();
  request.sampler = sampler;
  if (sdgen::find_sampler(sampler)->walk == sdgen::Walk::kTimesteps) request.timesteps = {801, 601, 201, 1};
  if (sdgen::find_sampler(sampler)->ends_above_0) request.sigmas.back() = 0.03f;
  return request;
}

inline sdgen::Latent sample(sdgen::Engine& engine, const sdgen::SampleRequest& request) {
  return engine.sample(request, {}, nullptr);
}

}  // namespace sdgen_test
