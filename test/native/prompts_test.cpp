// Prompts over a run: stages by evaluation, the parts of an AND, texts that share a mean. Each against the same engine's
// results for single prompts, combined by the formulas of docs/numerics.md.
#include "tiny_model.h"

using namespace sdgen_test;
using sdgen::Chunk;
using sdgen::Conditioning;
using sdgen::PromptStage;
using sdgen::SampleRequest;
using sdgen::Text;

namespace {

Chunk chunk_of(uint64_t seed, float weight = 1) {
  Numbers numbers(seed);
  Chunk chunk;
  for (int i = 0; i < 8; ++i) chunk.tokens.push_back(static_cast<int32_t>(numbers.below(64)));
  chunk.weights.assign(8, 1.0f);
  chunk.weights[3] = weight;
  return chunk;
}

/// D of one conditioning alone: a single Euler step to 0 is x ← 0·x + 1·D.
Floats prediction(sdgen::Engine& engine, const Conditioning& conditioning) {
  SampleRequest request = tiny_request();
  request.sigmas = {9.0f, 0.0f};
  request.cfg_scale = 1;
  request.conditionings = {conditioning};
  request.uncond.clear();
  return sample(engine, request).data;
}

/// The latent after each step of a run with these stages for the prompt.
Floats run(sdgen::Engine& engine, const std::vector<PromptStage>& stages, const std::string& sampler = "euler") {
  SampleRequest request = tiny_request();
  request.conditionings = {features(8, 1), features(8, 2), features(8, 3), features(8, 4)};
  request.sampler = sampler;
  request.parts[0].stages = stages;
  return sample(engine, request).data;
}

double sum_of(const Floats& values) {
  double sum = 0;
  for (float v : values) sum += static_cast<double>(v);
  return sum;
}

}  // namespace

TEST(prompts_change_by_evaluation) {
  const auto engine = TinyFile().open();
  // Three evaluations, 0 to 2. A stage holds up to and with its `until`.
  CHECK(same_bits(run(*engine, {{0, 0}, {1, 0}, {9, 0}}), run(*engine, {{9, 0}})));
  CHECK(same_bits(run(*engine, {{0, 0}, {0, 3}, {9, 2}}), run(*engine, {{0, 0}, {9, 2}})));
  CHECK(same_bits(run(*engine, {{2, 0}, {9, 2}}), run(*engine, {{9, 0}})));
  CHECK(same_bits(run(*engine, {{1, 0}}), run(*engine, {{9, 0}})));  // past the last stage the first holds
  CHECK(same_bits(run(*engine, {{1, 2}, {1, 0}}), run(*engine, {{9, 2}})));
  CHECK(!same_bits(run(*engine, {{1, 0}, {9, 2}}), run(*engine, {{9, 0}})));
  CHECK(!same_bits(run(*engine, {{1, 0}, {9, 2}}), run(*engine, {{0, 0}, {9, 2}})));
  // The first step's result does not know of what comes later.
  SampleRequest first = tiny_request();
  first.sigmas = {14.6f, 5.0f};
  first.conditionings.push_back(features(8, 3));
  const Floats plain = sample(*engine, first).data;
  first.parts[0].stages = {{0, 0}, {9, 2}};
  CHECK(same_bits(sample(*engine, first).data, plain));
  // Heun evaluates twice a step, so stage 2 begins in the middle of the second.
  CHECK(!same_bits(run(*engine, {{2, 0}, {9, 2}}, "heun"), run(*engine, {{1, 0}, {9, 2}}, "heun")));
  CHECK(same_bits(run(*engine, {{4, 0}, {9, 2}}, "heun"), run(*engine, {{9, 0}}, "heun")));
}

TEST(prompts_uncond_changes_by_evaluation_too) {
  const auto engine = TinyFile().open();
  SampleRequest request = tiny_request();
  const Floats plain = sample(*engine, request).data;
  request.conditionings.push_back(features(8, 3));
  request.uncond = {{2, 1}, {9, 2}};
  CHECK(same_bits(sample(*engine, request).data, plain));
  request.uncond = {{1, 1}, {9, 2}};
  CHECK(!same_bits(sample(*engine, request).data, plain));
}

TEST(prompts_parts_add_up_in_order) {
  const auto engine = TinyFile().open();
  // Lengths: cond and uncond together or apart; the shorter part repeats its last vector.
  for (const auto& [a, b, uncond] : {std::tuple<int64_t, int64_t, int64_t>{8, 8, 8}, {8, 8, 16}, {16, 8, 16}, {8, 24, 8}}) {
    const auto padded = [&](Conditioning c) {
      for (; c.tokens < std::max(a, b); ++c.tokens) c.data.insert(c.data.end(), c.data.end() - 32, c.data.end());
      return c;
    };
    SampleRequest request = tiny_request();
    request.sigmas = {9.0f, 0.0f};
    request.conditionings = {features(a, 3), features(b, 4), features(uncond, 5)};
    request.parts = {{1.25, {{9, 0}}}, {-0.5, {{9, 1}}}, {0.75, {{9, 0}}}};
    request.uncond = {{9, 2}};
    const Floats d0 = prediction(*engine, padded(request.conditionings[0]));
    const Floats d1 = prediction(*engine, padded(request.conditionings[1]));
    const Floats du = prediction(*engine, request.conditionings[2]);
    Floats want;
    for (size_t i = 0; i < d0.size(); ++i) {
      float sum = std::fma(static_cast<float>(1.25 * 7.5), d0[i] - du[i], du[i]);
      sum = std::fma(static_cast<float>(-0.5 * 7.5), d1[i] - du[i], sum);
      want.push_back(std::fma(static_cast<float>(0.75 * 7.5), d0[i] - du[i], sum));
    }
    CHECK_MSG(same_bits(sample(*engine, request).data, want), a << ", " << b << " and " << uncond << " tokens");
    request.seeds = {10, 11};  // the batch changes nothing
    const Floats both = sample(*engine, request).data;
    CHECK(same_bits({both.begin() + static_cast<int64_t>(want.size()), both.end()}, want));
  }
}

TEST(prompts_one_weighted_part_scales_the_guidance) {
  const auto engine = TinyFile().open();
  SampleRequest request = tiny_request();
  request.cfg_scale = 5;
  request.parts[0].weight = 1.5;
  const Floats weighted = sample(*engine, request).data;
  request.cfg_scale = 7.5;
  request.parts[0].weight = 1;
  CHECK(same_bits(sample(*engine, request).data, weighted));
  request.parts[0].weight = 0.5;
  request.cfg_scale = 2;  // 1 in all: uncond is not evaluated
  request.uncond.clear();
  const Floats alone = sample(*engine, request).data;
  request.parts[0].weight = 1;
  request.cfg_scale = 1;
  CHECK(same_bits(sample(*engine, request).data, alone));
}

TEST(prompts_of_a_group_share_their_mean) {
  const auto engine = TinyFile().open();
  const Chunk plain = chunk_of(1), weighted = chunk_of(2, 1.4f), other = chunk_of(3);
  const std::vector<Text> group{{{plain, other}, 3}, {{weighted, other}, 1}};
  const auto encoded = engine->encode_text({.groups = {group, {{{plain}}}}}, {});
  CHECK(encoded.size() == 2 && encoded[0].size() == 2 && encoded[1].size() == 1);
  const Floats a = encode(*engine, {plain}).data, b = encode(*engine, {chunk_of(2)}).data;
  const Floats second = encode(*engine, {other}).data;
  CHECK(same_bits(encoded[1][0].data, a));  // another group is another matter
  Floats louder = b;
  for (size_t i = 3 * 32; i < 4 * 32; ++i) louder[i] *= 1.4f;
  const double before = 3.0 * sum_of(a) + sum_of(b), after = 3.0 * sum_of(a) + sum_of(louder);
  const auto restore = static_cast<float>((before / 1024) / (after / 1024));
  for (const auto& [text, features_of_it] : {std::pair{0, a}, {1, louder}}) {
    Floats want = features_of_it;
    for (float& v : want) v *= restore;
    want.insert(want.end(), second.begin(), second.end());  // a chunk without weights stays
    CHECK_MSG(same_bits(encoded[0][static_cast<size_t>(text)].data, want), "text " << text);
  }
  louder.insert(louder.end(), second.begin(), second.end());
  const auto loose = engine->encode_text({.groups = {group}, .restore_mean = false}, {});
  CHECK(same_bits(loose[0][1].data, louder));
}

TEST(prompts_of_many_windows_are_the_same_as_few) {
  const auto engine = TinyFile().open();
  std::vector<Chunk> chunks;
  for (uint64_t seed = 0; seed < 37; ++seed) chunks.push_back(chunk_of(seed % 35));  // two and a bit runs of the tower
  const Floats all = encode(*engine, chunks).data;
  for (size_t i = 0; i < chunks.size(); ++i) {
    const Floats one = encode(*engine, {chunks[i]}).data;
    CHECK_MSG(same_bits({all.begin() + static_cast<int64_t>(i) * 256, all.begin() + static_cast<int64_t>(i + 1) * 256}, one), "window " << i);
  }
}

TEST(prompts_refuses_uneven_groups) {
  const auto engine = TinyFile().open();
  std::string what;
  const auto refused = [&](const std::vector<std::vector<Text>>& groups) {
    CHECK_THROWS(engine->encode_text({.groups = groups}, {}), sdgen::ErrorCode::kInvalidArgument, what);
    CHECK_MSG(what.find("groups") != std::string::npos, what);
  };
  refused({});
  refused({{}});
  refused({{{{chunk_of(1)}}, {{chunk_of(1), chunk_of(2)}}}});
  refused({{{{chunk_of(1)}, 0}}});
}
