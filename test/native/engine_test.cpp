// The engine on a tiny checkpoint: what must not change the bytes, and what must be refused, cancelled or named.
#include <algorithm>

#include "graph/stages.h"
#include "models/clip.h"
#include "models/unet.h"
#include "models/vae.h"
#include "tiny_model.h"

using namespace sdgen_test;
using sdgen::Chunk;
using sdgen::ErrorCode;
using sdgen::Latent;
using sdgen::RunControl;
using sdgen::SampleRequest;
using sdgen::StepEvent;

namespace {

bool has(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

Chunk chunk_of(uint64_t seed) {
  Numbers numbers(seed);
  Chunk chunk;
  for (int i = 0; i < 8; ++i) chunk.tokens.push_back(static_cast<int32_t>(numbers.below(64)));
  chunk.weights.assign(8, 1.0f);
  return chunk;
}

/// Image i of a batch.
Floats image_of(const Latent& latent, int64_t i) {
  const int64_t each = latent.channels * latent.height * latent.width;
  return {latent.data.begin() + i * each, latent.data.begin() + (i + 1) * each};
}

/// D(x, sigma) of one conditioning from the same noise: a single Euler step to 0 is x ← 0·x + 1·D.
Floats denoised(sdgen::Engine& engine, const sdgen::Conditioning& cond) {
  SampleRequest request = tiny_request();
  request.sigmas = {9.0f, 0.0f};
  request.cfg_scale = 1;
  request.conditionings[0] = cond;
  return sample(engine, request).data;
}

}  // namespace

TEST(engine_estimates_what_programs_need) {
  const auto engine = TinyFile().open();
  const sdgen::ModelConfig config = tiny_config();
  const sdgen::Estimate e =
      engine->estimate({.latent_width = 7, .latent_height = 5, .batch = 3, .cond_tokens = 16, .uncond_tokens = 16});
  const auto unet_memory = [&](int64_t batch) { return memory_of(split_stages(build_unet(config.unet, {batch, 5, 7, 16}))); };
  const sdgen::StageMemory unet = unet_memory(6);
  const sdgen::Program vae = build_vae_decoder(config.vae, 1, 5, 7);
  const sdgen::Program text = build_clip_text(config.text, 2, 1);
  CHECK(e.unet.arena_bytes == static_cast<uint64_t>(unet.arena_bytes) && e.unet.flops == unet.flops);
  CHECK(e.vae.arena_bytes == static_cast<uint64_t>(vae.arena_bytes) &&
        e.text.arena_bytes == static_cast<uint64_t>(text.arena_bytes));
  CHECK(e.arena_bytes == std::max({e.text.arena_bytes, e.unet.arena_bytes, e.vae.arena_bytes}));
  CHECK(e.weight_bytes == e.text.weight_bytes + e.unet.weight_bytes + e.vae.weight_bytes);
  CHECK(e.peak_bytes >= e.weight_bytes + e.arena_bytes + static_cast<uint64_t>(unet.bound_bytes));
  const auto estimate = [&](int64_t batch, int64_t cond, int64_t uncond, bool use) {
    return engine
        ->estimate({.latent_width = 7,
                    .latent_height = 5,
                    .batch = batch,
                    .cond_tokens = cond,
                    .uncond_tokens = uncond,
                    .use_uncond = use})
        .unet.arena_bytes;
  };
  CHECK(estimate(3, 16, 16, false) == static_cast<uint64_t>(unet_memory(3).arena_bytes));
  CHECK(estimate(3, 8, 16, true) == static_cast<uint64_t>(unet_memory(3).arena_bytes));

  std::string what;
  CHECK_THROWS(engine->estimate({.latent_width = 0, .latent_height = 5}), ErrorCode::kInvalidArgument, what);
  CHECK_THROWS(engine->estimate({.latent_width = 5, .latent_height = 5, .batch = 0}), ErrorCode::kInvalidArgument,
               what);
  CHECK_THROWS(engine->estimate({.latent_width = 5, .latent_height = 5, .batch = 1, .cond_tokens = 0}),
               ErrorCode::kInvalidArgument, what);
}

TEST(engine_load_reports_the_estimated_bytes) {
  const auto engine = TinyFile().open();
  const uint64_t total = engine->estimate({.latent_width = 4, .latent_height = 4}).weight_bytes;
  uint64_t before = 0, calls = 0;
  engine->load({}, [&](uint64_t loaded, uint64_t of) {
    CHECK(of == total && loaded > before && loaded <= total);
    before = loaded;
    ++calls;
  });
  CHECK(before == total && calls == TinyFile().tensors.size());
}

TEST(engine_threads_change_no_byte) {
  const TinyFile file;
  const auto one = file.open();
  SampleRequest request = tiny_request();
  request.seeds = {1, 2};
  const Latent latent = sample(*one, request);
  const Floats text = encode(*one, {chunk_of(1), chunk_of(2)}).data;
  const auto rgb = one->decode({latent}, {}, nullptr)[1].rgb;
  for (const int threads : {2, 3, 8}) {
    const auto many = file.open({}, threads);
    CHECK_MSG(same_bits(sample(*many, request).data, latent.data), threads << " threads");
    CHECK_MSG(same_bits(encode(*many, {chunk_of(1), chunk_of(2)}).data, text), threads << " threads");
    CHECK_MSG(many->decode({latent}, {}, nullptr)[1].rgb == rgb, threads << " threads");
  }
}

TEST(engine_batch_position_changes_no_byte) {
  const auto engine = TinyFile().open();
  for (const std::string& sampler : sdgen::sampler_ids()) {
    if (sdgen::find_sampler(sampler)->one_image) continue;
    SampleRequest request = tiny_request(sampler);
    request.seeds = {5, 6, 7};
    const Latent batch = sample(*engine, request);
    CHECK(batch.batch == 3 && batch.channels == 4 && batch.height == 3 && batch.width == 5);
    const std::vector<sdgen::Image> images = engine->decode({batch}, {}, nullptr);
    for (int64_t i = 0; i < 3; ++i) {
      request.seeds = {static_cast<uint64_t>(5 + i)};
      const Latent alone = sample(*engine, request);
      CHECK_MSG(same_bits(alone.data, image_of(batch, i)), sampler << ", image " << i);
      CHECK(engine->decode({alone}, {}, nullptr)[0].rgb == images[static_cast<size_t>(i)].rgb);
    }
    CHECK(!same_bits(image_of(batch, 0), image_of(batch, 1)));
  }
}

TEST(engine_chunks_are_encoded_independently) {
  const auto engine = TinyFile().open();
  const sdgen::Conditioning both = encode(*engine, {chunk_of(1), chunk_of(2)});
  CHECK(both.tokens == 16 && both.width == 32);
  Floats joined = encode(*engine, {chunk_of(1)}).data;
  const Floats second = encode(*engine, {chunk_of(2)}).data;
  joined.insert(joined.end(), second.begin(), second.end());
  CHECK(same_bits(both.data, joined));
  CHECK(!same_bits(second, encode(*engine, {chunk_of(2)}, 2).data));
}

TEST(engine_emphasis_keeps_the_mean) {
  const auto engine = TinyFile().open();
  const Floats plain = encode(*engine, {chunk_of(3)}).data;
  Chunk weighted = chunk_of(3);
  weighted.weights[2] = 1.3f;
  weighted.weights[5] = 0.5f;
  double before = 0, after = 0;
  Floats want = plain;
  for (size_t i = 0; i < plain.size(); ++i) {
    want[i] = plain[i] * weighted.weights[i / 32];
    before += static_cast<double>(plain[i]);
    after += static_cast<double>(want[i]);
  }
  const auto restore = static_cast<float>((before / 256) / (after / 256));
  for (float& v : want) v *= restore;
  CHECK(same_bits(encode(*engine, {weighted}).data, want));
}

TEST(engine_guides_with_prompts_of_any_lengths) {
  const auto engine = TinyFile().open();
  SampleRequest request = tiny_request();
  request.sigmas = {9.0f, 0.0f};
  for (const auto& [cond, uncond] : {std::pair<int64_t, int64_t>{8, 8}, {8, 16}, {24, 8}}) {
    request.conditionings = {features(cond, 3), features(uncond, 4)};
    const Floats dc = denoised(*engine, request.conditionings[0]), du = denoised(*engine, request.conditionings[1]);
    CHECK(!same_bits(dc, du));
    Floats want;
    for (size_t i = 0; i < dc.size(); ++i) want.push_back(std::fma(7.5f, dc[i] - du[i], du[i]));
    CHECK_MSG(same_bits(sample(*engine, request).data, want), cond << " and " << uncond << " tokens");
  }
}

TEST(engine_cfg_1_leaves_uncond_alone) {
  const auto engine = TinyFile().open();
  SampleRequest request = tiny_request();
  request.cfg_scale = 1;
  const Latent plain = sample(*engine, request);
  for (const std::vector<sdgen::PromptStage>& garbage :
       {std::vector<sdgen::PromptStage>{}, {{0, 7}}, {{-1, -1}, {1000, 1}}}) {
    request.uncond = garbage;
    CHECK(same_bits(sample(*engine, request).data, plain.data));
  }
  const auto unet_flops = [&](double cfg) {
    SampleRequest measured = tiny_request();
    measured.cfg_scale = cfg;
    std::vector<sdgen::OpProfile> profile;
    int64_t evaluations = 0;
    engine->sample(measured, {.profile = &profile}, [&](const StepEvent& event) { evaluations = event.evaluations; });
    CHECK(evaluations == 3);
    double flops = 0;
    for (const sdgen::OpProfile& row : profile) flops += row.flops;
    return flops;
  };
  // What depends on the text alone is computed once for the three evaluations.
  const auto expected = [](int64_t batch) {
    double flops = 0;
    for (const sdgen::Stage& stage : sdgen::split_stages(build_unet(tiny_config().unet, {batch, 3, 5, 8}))) {
      flops += (stage.steady == "ctx" ? 1 : 3) * stage.program.flops;
    }
    return flops;
  };
  CHECK(unet_flops(1) == expected(1));
  CHECK(unet_flops(2) == expected(2));
}

TEST(engine_reports_steps_and_evaluations) {
  const auto engine = TinyFile().open();
  for (const auto& [sampler, evaluations] :
       {std::pair{"euler", 3}, {"heun", 5}, {"dpmpp_2m", 3}, {"euler_ancestral", 3}}) {
    SampleRequest request = tiny_request();
    request.sampler = sampler;
    std::vector<StepEvent> events;
    engine->sample(request, {}, [&](const StepEvent& event) { events.push_back(event); });
    CHECK(events.size() == 3);
    for (size_t i = 0; i < events.size(); ++i) {
      CHECK(events[i].step == static_cast<int>(i) + 1 && events[i].steps == 3 && events[i].sigma == request.sigmas[i]);
    }
    CHECK_MSG(events.back().evaluations == evaluations, sampler << ": " << events.back().evaluations);
  }
}

TEST(engine_cancels_before_and_during) {
  const auto engine = TinyFile().open();
  const std::atomic<bool> set = true;
  const RunControl cancelled{.cancel = &set};
  const Latent latent{Floats(60, 0.5f), 1, 4, 3, 5};
  std::string what;
  CHECK_THROWS(engine->load(cancelled, nullptr), ErrorCode::kCancelled, what);
  CHECK_THROWS(encode(*engine, {chunk_of(1)}, 1, cancelled), ErrorCode::kCancelled, what);
  CHECK_THROWS(engine->sample(tiny_request(), cancelled, nullptr), ErrorCode::kCancelled, what);
  CHECK_THROWS(engine->decode({latent}, cancelled, nullptr), ErrorCode::kCancelled, what);

  std::atomic<bool> flag = false;
  int steps = 0;
  CHECK_THROWS(engine->sample(tiny_request(), {.cancel = &flag}, [&](const StepEvent&) { flag = ++steps == 2; }),
               ErrorCode::kCancelled, what);
  CHECK(steps == 2);
  flag = false;
  int images = 0;
  const Latent three{Floats(180, 0.5f), 3, 4, 3, 5};
  CHECK_THROWS(engine->decode({three}, {.cancel = &flag}, [&](int) { flag = ++images == 1; }), ErrorCode::kCancelled,
               what);
  CHECK(images == 1);
  flag = false;
  const auto fresh = TinyFile().open();
  CHECK_THROWS(fresh->load({.cancel = &flag}, [&](uint64_t loaded, uint64_t total) { flag = 2 * loaded > total; }),
               ErrorCode::kCancelled, what);
  // A cancelled call leaves an engine that works as if nothing had happened.
  const Floats expected = sample(*TinyFile().open(), tiny_request()).data;
  CHECK(same_bits(sample(*engine, tiny_request()).data, expected));
  CHECK(same_bits(sample(*fresh, tiny_request()).data, expected));
}

TEST(engine_names_the_part_that_is_not_finite) {
  const float nan = std::numeric_limits<float>::quiet_NaN(), inf = std::numeric_limits<float>::infinity();
  const Latent latent{Floats(120, 0.5f), 2, 4, 3, 5};
  std::string what;
  for (const float bad : {nan, inf, -inf}) {
    TinyFile text, unet, vae;
    text.plant("text.encoder.layers.1.mlp.fc2.bias", bad);
    unet.plant("unet.middle_block.1.transformer_blocks.0.attn2.to_v.weight", bad);
    vae.plant("vae.decoder.conv_in.weight", bad);
    CHECK_THROWS(encode(*text.open(), {chunk_of(1)}), ErrorCode::kNonFinite, what);
    CHECK_MSG(has(what, "text encoder"), what);
    CHECK_THROWS(sample(*unet.open(), tiny_request()), ErrorCode::kNonFinite, what);
    CHECK_MSG(has(what, "UNet") && has(what, "step 1 "), what);
    CHECK_THROWS(vae.open()->decode({latent}, {}, nullptr), ErrorCode::kNonFinite, what);
    CHECK_MSG(has(what, "VAE") && has(what, "image 1"), what);
    CHECK(text.open()->decode({latent}, {}, nullptr).size() == 2);  // a bad part is no other's trouble
  }
  Latent second = latent;
  second.data[70] = nan;
  CHECK_THROWS(TinyFile().open()->decode({second}, {}, nullptr), ErrorCode::kNonFinite, what);
  CHECK_MSG(has(what, "VAE") && has(what, "image 2"), what);
}

TEST(engine_names_the_step_that_is_not_finite) {
  const auto engine = TinyFile().open();
  SampleRequest request = tiny_request();
  request.cfg_scale = 3e38;  // overflows in the first step's guidance; the UNet meets it in the second
  std::string what;
  CHECK_THROWS(sample(*engine, request), ErrorCode::kNonFinite, what);
  CHECK_MSG(has(what, "UNet") && has(what, "step 2 "), what);
  request.sigmas = {14.6f, 0.0f};  // no further evaluation would notice
  CHECK_THROWS(sample(*engine, request), ErrorCode::kNonFinite, what);
  CHECK_MSG(has(what, "sampler") && has(what, "euler"), what);
}

TEST(engine_refuses_impossible_requests) {
  const auto engine = TinyFile().open();
  std::string what;
  const auto refused = [&](const char* part, const auto& change) {
    SampleRequest request = tiny_request();
    change(request);
    CHECK_THROWS(sample(*engine, request), ErrorCode::kInvalidArgument, what);
    CHECK_MSG(has(what, part), what);
  };
  const float nan = std::numeric_limits<float>::quiet_NaN();
  refused("latent size", [](SampleRequest& r) { r.latent_width = 0; });
  refused("latent size", [](SampleRequest& r) { r.latent_height = 1 << 20; });
  refused("batch", [](SampleRequest& r) { r.seeds.clear(); });
  refused("sampler 'none'", [](SampleRequest& r) { r.sampler = "none"; });
  refused("sigmas", [](SampleRequest& r) { r.sigmas = {1.0f}; });
  refused("sigmas[1]", [](SampleRequest& r) { r.sigmas = {1.0f, 2.0f, 0.0f}; });
  refused("sigmas[1]", [](SampleRequest& r) { r.sigmas = {1.0f, 0.0f, 0.0f}; });
  refused("sigmas[0]", [&](SampleRequest& r) { r.sigmas[0] = nan; });
  refused("cfgScale", [](SampleRequest& r) { r.cfg_scale = std::nan(""); });
  refused("samplerOptions", [](SampleRequest& r) { r.options.eta = -1; });
  refused("unipcOrder", [](SampleRequest& r) { r.options.unipc_order = 4; });
  refused("timesteps", [](SampleRequest& r) { r.timesteps = {9, 5, 2, 1}; });
  refused("timesteps", [](SampleRequest& r) { r.sampler = "ddim"; });
  refused("timesteps[2]", [](SampleRequest& r) { r = tiny_request("ddim"), r.timesteps = {801, 601, 601, 1}; });
  refused("timesteps[1]", [](SampleRequest& r) { r = tiny_request("plms"), r.timesteps = {801, -1, -1, -1}; });
  refused("timesteps[0]", [&](SampleRequest& r) { r = tiny_request("unipc"), r.timesteps[0] = nan; });
  refused("sigmas[3]", [](SampleRequest& r) { r.sampler = "dpm_fast"; });
  refused("one image", [](SampleRequest& r) { r = tiny_request("dpm_adaptive"), r.seeds = {1, 2}; });
  refused("as many as seeds", [](SampleRequest& r) { r.subseeds = {1, 2}; });
  refused("as many as seeds", [](SampleRequest& r) { r.later_seeds = {1, 2}; });
  refused("subseedStrength", [](SampleRequest& r) { r.subseed_strength = 1.5; });
  refused("latent size", [](SampleRequest& r) { r.resize_width = 4; });
  refused("uncond", [](SampleRequest& r) { r = tiny_request("ddim_cfgpp"), r.cfg_scale = 12.5, r.uncond.clear(); });
  refused("conditionings", [](SampleRequest& r) { r.conditionings[0] = {Floats(31), 1, 31}; });
  refused("conditionings", [](SampleRequest& r) { r.conditionings[1].data.pop_back(); });
  refused("parts", [](SampleRequest& r) { r.parts.clear(); });
  refused("parts", [](SampleRequest& r) { r.parts[0].stages.clear(); });
  refused("parts", [](SampleRequest& r) { r.parts[0].stages[0].conditioning = 2; });
  refused("weight", [&](SampleRequest& r) { r.parts[0].weight = std::nan(""); });
  refused("uncond", [](SampleRequest& r) { r.uncond.clear(); });
  refused("uncond", [](SampleRequest& r) { r.uncond[0].conditioning = -1; });

  CHECK_THROWS(encode(*engine, {}), ErrorCode::kInvalidArgument, what);
  for (const int skip : {0, 3, -1})
    CHECK_THROWS(encode(*engine, {chunk_of(1)}, skip), ErrorCode::kInvalidArgument, what);
  for (const int32_t id : {-1, 64, std::numeric_limits<int32_t>::max()}) {
    Chunk chunk = chunk_of(1);
    chunk.tokens[7] = id;
    CHECK_THROWS(encode(*engine, {chunk}), ErrorCode::kInvalidArgument, what);
  }
  Chunk odd = chunk_of(1);
  odd.weights[0] = nan;
  CHECK_THROWS(encode(*engine, {odd}), ErrorCode::kInvalidArgument, what);
  odd.weights.pop_back();
  CHECK_THROWS(encode(*engine, {odd}), ErrorCode::kInvalidArgument, what);
  CHECK_THROWS(engine->decode({{Floats(60), 1, 3, 4, 5}}, {}, nullptr), ErrorCode::kInvalidArgument, what);
  CHECK_THROWS(engine->decode({{Floats(59), 1, 4, 3, 5}}, {}, nullptr), ErrorCode::kInvalidArgument, what);
}

TEST(engine_refuses_devices_that_are_not_built) {
  std::string what;
  for (const char* device : {"cuda", "metal", ""})
    CHECK_THROWS(sdgen::Engine::open({.path = "x", .device = device}), ErrorCode::kDevice, what);
  for (const char* precision : {"fp16", "bf16", "int8"})
    CHECK_THROWS(sdgen::Engine::open({.path = "x", .precision = precision}), ErrorCode::kDevice, what);
  CHECK_THROWS(sdgen::Engine::open({.path = "x", .threads = -1}), ErrorCode::kInvalidArgument, what);
  CHECK_THROWS(sdgen::Engine::open({.path = scratch("nothing.safetensors")}), ErrorCode::kIo, what);
}
