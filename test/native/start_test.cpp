// Runs that begin with latents: where the noise goes, what a mask keeps, and that a batch is still its single runs.
#include <cmath>

#include "base/noise.h"
#include "sampling/denoiser.h"
#include "tiny_model.h"

using namespace sdgen_test;
using sdgen::ErrorCode;
using sdgen::Hook;
using sdgen::HookCall;
using sdgen::Latent;
using sdgen::MaskFill;
using sdgen::SampleRequest;

namespace {

constexpr int64_t kPixels = 15, kEach = 4 * kPixels;  // of tiny_request

Latent latent_of(uint64_t seed, int64_t batch = 1) { return {Numbers(seed).values(batch * kEach), batch, 4, 3, 5}; }

SampleRequest started(const std::string& sampler = "euler") {
  SampleRequest request = tiny_request(sampler);
  request.start = {latent_of(31)};
  if (!request.timesteps.empty()) request.start->timestep = 801;
  return request;
}

Floats noise_of(uint64_t seed) {
  Floats noise(static_cast<size_t>(kEach));
  sdgen::make_philox_stream(seed)->randn(noise.data(), noise.size());
  return noise;
}

/// What that hook is shown the first time.
Floats first_shown(sdgen::Engine& engine, SampleRequest request, Hook hook) {
  request.hooks = {hook};
  Floats seen;
  sdgen::RunControl control;
  control.ask = [&](const std::shared_ptr<HookCall>& call) {
    if (seen.empty()) seen = call->latents[0].data;
    call->replaced.assign(call->latents.size(), false);
  };
  engine.sample(request, control, nullptr);
  return seen;
}

/// 1 in the left two columns, 0 in the others.
Floats left_mask() {
  Floats mask;
  for (int64_t p = 0; p < kPixels; ++p) mask.push_back(p % 5 < 2 ? 1.0f : 0.0f);
  return mask;
}

Floats image_of(const Latent& latent, int64_t i) {
  return {latent.data.begin() + i * kEach, latent.data.begin() + (i + 1) * kEach};
}

}  // namespace

TEST(start_puts_the_noise_of_the_seeds_into_the_latent) {
  const auto engine = TinyFile().open();
  SampleRequest request = started();
  const Floats noise = noise_of(11), given = request.start->latent.data;
  const auto expect = [&](auto&& value_of) {
    Floats want;
    for (size_t i = 0; i < given.size(); ++i) want.push_back(value_of(given[i], noise[i]));
    CHECK(same_bits(first_shown(*engine, request, Hook::kExtraNoise), want));
  };
  expect([](float x, float n) { return std::fma(14.6f, n, x); });
  request.start->extra_noise = 0.05;
  expect([](float x, float n) { return std::fma(0.05f, n, std::fma(14.6f, n, x)); });
  request.start->noise_multiplier = 0.9;
  expect([](float x, float n) { return std::fma(0.05f, 0.9f * n, std::fma(14.6f, 0.9f * n, x)); });

  request = started("ddim");
  request.start->timestep = 851;  // not the first that is evaluated
  const sdgen::VpPoint at = sdgen::TrainedSigmas().point(851);
  const auto alpha = static_cast<float>(at.alpha), sigma = static_cast<float>(at.sigma);
  expect([&](float x, float n) { return std::fma(sigma, n, alpha * x); });
  request.start->extra_noise = 0.5;
  expect([&](float x, float n) { return std::fma(static_cast<float>(0.5 * at.alpha), n, std::fma(sigma, n, alpha * x)); });
}

TEST(start_draws_go_on_after_the_first) {
  // With a latent of zeros a start is one of noise alone: later draws are the stream's next ones either way.
  const auto engine = TinyFile().open();
  for (const char* sampler : {"euler_ancestral", "dpmpp_2m_sde", "lcm", "dpmpp_2m"}) {
    SampleRequest request = tiny_request(sampler);
    const Floats plain = sample(*engine, request).data;
    request.start = {Latent{Floats(static_cast<size_t>(kEach), 0.0f), 1, 4, 3, 5}};
    CHECK_MSG(same_bits(sample(*engine, request).data, plain), sampler);
  }
}

TEST(start_batch_position_changes_no_byte) {
  const auto engine = TinyFile().open();
  for (const std::string& sampler : sdgen::sampler_ids()) {
    if (sdgen::find_sampler(sampler)->one_image) continue;
    for (const bool masked : {false, true}) {
      SampleRequest request = started(sampler);
      request.seeds = {5, 6};
      request.start->latent = latent_of(32, 2);
      if (masked) request.start->mask = left_mask();
      if (masked) request.start->fill = MaskFill::kNoise;
      const Latent both = sample(*engine, request);
      for (int64_t i = 0; i < 2; ++i) {
        SampleRequest one = request;
        one.seeds = {request.seeds[static_cast<size_t>(i)]};
        one.start->latent = {image_of(request.start->latent, i), 1, 4, 3, 5};
        CHECK_MSG(same_bits(sample(*engine, one).data, image_of(both, i)), sampler << ", image " << i << (masked ? ", masked" : ""));
      }
    }
  }
  SampleRequest request = started();  // one latent for all
  const Floats alone = sample(*engine, request).data;
  request.seeds = {10, 11};
  CHECK(same_bits(image_of(sample(*engine, request), 1), alone));
}

TEST(start_mask_keeps_what_it_covers) {
  const auto engine = TinyFile().open();
  for (const std::string& sampler : sdgen::sampler_ids()) {
    SampleRequest request = started(sampler);
    const Floats plain = sample(*engine, request).data;
    request.start->mask.assign(static_cast<size_t>(kPixels), 1.0f);
    CHECK_MSG(same_bits(sample(*engine, request).data, plain), sampler << ": a mask that covers nothing");
    request.start->mask = left_mask();
    const Floats masked = sample(*engine, request).data;
    int changed = 0;
    for (size_t i = 0; i < masked.size(); ++i) {
      if (i % 5 >= 2) CHECK_MSG(masked[i] == request.start->latent.data[i], sampler << " at " << i);
      else changed += masked[i] != request.start->latent.data[i];
    }
    CHECK_MSG(changed > 20, sampler);
  }
}

TEST(start_mask_blends_by_its_formula) {
  const auto engine = TinyFile().open();
  SampleRequest request = started();
  request.sigmas = {9.0f, 0.0f};
  request.cfg_scale = 1;
  const Floats free_run = sample(*engine, request).data, given = request.start->latent.data;
  request.start->mask = Numbers(40).values(kPixels);
  for (float& weight : request.start->mask) weight = std::fabs(weight) > 1 ? 1.0f : std::fabs(weight);
  Floats want;
  for (size_t i = 0; i < given.size(); ++i) {
    const float w = request.start->mask[i % kPixels], kept = given[i] * (1.0f - w);
    want.push_back(std::fma(std::fma(free_run[i], w, kept), w, kept));  // the denoised x0, and the end
  }
  CHECK(same_bits(sample(*engine, request).data, want));
  // In a walk of timesteps the network sees the latent itself where it is kept.
  SampleRequest ddim = started("ddim");
  const Floats before = first_shown(*engine, ddim, Hook::kCfgDenoiser);
  ddim.start->mask = left_mask();
  const Floats seen = first_shown(*engine, ddim, Hook::kCfgDenoiser);
  for (size_t i = 0; i < seen.size(); ++i) CHECK(seen[i] == (i % 5 < 2 ? before[i] : ddim.start->latent.data[i]));
}

TEST(start_fills_the_masked_area) {
  const auto engine = TinyFile().open();
  SampleRequest request = started();
  request.start->mask = left_mask();
  const Floats given = request.start->latent.data, noise = noise_of(11);
  const auto x_of = [&](MaskFill fill) {
    request.start->fill = fill;
    return first_shown(*engine, request, Hook::kExtraNoise);
  };
  const Floats kept = x_of(MaskFill::kKeep), random = x_of(MaskFill::kNoise), zeros = x_of(MaskFill::kNothing);
  for (size_t i = 0; i < given.size(); ++i) {
    const bool masked = i % 5 < 2;
    CHECK(kept[i] == std::fma(14.6f, noise[i], given[i]));
    CHECK(random[i] == std::fma(14.6f, noise[i], masked ? noise[i] : given[i]));
    CHECK(zeros[i] == std::fma(14.6f, noise[i], masked ? 0.0f : given[i]));
  }
}

TEST(start_brownian_noise_is_of_the_whole_schedule) {
  const auto engine = TinyFile().open();
  SampleRequest request = started("dpmpp_2m_sde");
  request.sigmas = {5.0f, 1.0f, 0.5f, 0.0f};
  const Floats own = sample(*engine, request).data;
  request.noise_low = 0.5;
  request.noise_high = 5;
  CHECK(same_bits(sample(*engine, request).data, own));
  request.noise_high = static_cast<double>(14.6f);
  CHECK(!same_bits(sample(*engine, request).data, own));
}

TEST(start_refuses_what_does_not_fit) {
  const auto engine = TinyFile().open();
  const auto refused = [&](const std::string& part, const std::string& sampler, auto&& change) {
    SampleRequest request = started(sampler);
    change(request);
    std::string what;
    CHECK_THROWS(sample(*engine, request), ErrorCode::kInvalidArgument, what);
    CHECK_MSG(what.find(part) != std::string::npos, what);
  };
  refused("latent must be", "euler", [](SampleRequest& r) { r.start->latent.width = 6; });
  refused("latent must be", "euler", [](SampleRequest& r) { r.start->latent = latent_of(1, 2); });
  refused("latent must be", "euler", [](SampleRequest& r) { r.start->latent.channels = 3; });
  refused("noiseMultiplier", "euler", [](SampleRequest& r) { r.start->noise_multiplier = -1; });
  refused("takes no timestep", "euler", [](SampleRequest& r) { r.start->timestep = 5; });
  refused("needs a timestep", "ddim", [](SampleRequest& r) { r.start->timestep = -1; });
  refused("needs a timestep", "ddim", [](SampleRequest& r) { r.start->timestep = 1000; });
  refused("mask must be", "euler", [](SampleRequest& r) { r.start->mask = {1}; });
  refused("mask's values", "euler", [](SampleRequest& r) { r.start->mask = Floats(15, 1.5f); });
  refused("fill needs a mask", "euler", [](SampleRequest& r) { r.start->fill = MaskFill::kNothing; });
  refused("noiseInterval", "euler", [](SampleRequest& r) { r.noise_high = 1; });
  refused("sigmas must lie inside", "euler", [](SampleRequest& r) { r.noise_low = 2, r.noise_high = 20; });
}
