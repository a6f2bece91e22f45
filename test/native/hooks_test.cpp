// Hooks of the sampling loop: what is shown, what replacing does, and that showing alone changes no byte.
#include <algorithm>

#include "tiny_model.h"

using namespace sdgen_test;
using sdgen::Error;
using sdgen::ErrorCode;
using sdgen::Hook;
using sdgen::HookCall;
using sdgen::Latent;
using sdgen::SampleRequest;

namespace {

constexpr Hook kAll[] = {Hook::kExtraNoise, Hook::kCfgDenoiser, Hook::kCfgDenoised, Hook::kAfterCfg};
using Listener = std::function<void(HookCall&)>;

SampleRequest hooked(SampleRequest request, std::vector<Hook> hooks) {
  request.hooks = std::move(hooks);
  return request;
}

Latent sample_with(sdgen::Engine& engine, const SampleRequest& request, const Listener& listener) {
  sdgen::RunControl control;
  control.ask = [&](const std::shared_ptr<HookCall>& call) { listener(*call); };
  return engine.sample(request, control, nullptr);
}

/// Every kind of request that takes another way through guidance.
std::vector<SampleRequest> all_ways() {
  std::vector<SampleRequest> ways;
  for (const char* sampler : {"euler", "heun", "ddim", "ddim_cfgpp", "plms"}) ways.push_back(tiny_request(sampler));
  ways.push_back(tiny_request());
  ways.back().cfg_scale = 1;  // no unconditional branch
  ways.push_back(tiny_request());
  ways.back().parts = {{1, {{1000, 0}}}, {-0.5, {{1000, 1}}}};  // AND
  ways.push_back(ways.back());
  ways.back().conditionings[1] = features(16, 3);  // of unequal lengths: branches go one by one
  ways.push_back(tiny_request());
  ways.back().seeds = {3, 4};
  return ways;
}

}  // namespace

TEST(hooks_that_only_look_change_no_byte) {
  const auto engine = TinyFile().open();
  for (const SampleRequest& request : all_ways()) {
    const Latent plain = sample(*engine, request);
    int calls = 0;
    const Latent shown = sample_with(*engine, hooked(request, {std::begin(kAll), std::end(kAll)}), [&](HookCall&) { ++calls; });
    CHECK_MSG(same_bits(plain.data, shown.data), request.sampler << ", " << request.parts.size() << " parts");
    CHECK(calls > 3);
    // Its own values given back are no change either.
    const Latent echoed = sample_with(*engine, hooked(request, {std::begin(kAll), std::end(kAll)}),
                                      [](HookCall& call) { call.replaced.assign(call.latents.size(), true); });
    CHECK_MSG(same_bits(plain.data, echoed.data), request.sampler << ", echoed");
  }
}

TEST(hooks_are_called_in_order_and_only_when_asked_for) {
  const auto engine = TinyFile().open();
  std::vector<Hook> order;
  std::vector<int64_t> evaluations;
  const auto listen = [&](HookCall& call) {
    order.push_back(call.hook);
    evaluations.push_back(call.evaluation);
    CHECK(call.latents.size() == (call.hook == Hook::kCfgDenoised ? 2u : 1u));
    const Latent& latent = call.latents[0];
    CHECK(latent.batch == 1 && latent.channels == 4 && latent.height == 3 && latent.width == 5 && latent.data.size() == 60);
  };
  sample_with(*engine, hooked(tiny_request(), {std::begin(kAll), std::end(kAll)}), listen);
  const std::vector<Hook> expected{Hook::kExtraNoise, Hook::kCfgDenoiser, Hook::kCfgDenoised, Hook::kAfterCfg, Hook::kCfgDenoiser,
                                   Hook::kCfgDenoised, Hook::kAfterCfg, Hook::kCfgDenoiser, Hook::kCfgDenoised, Hook::kAfterCfg};
  CHECK(order == expected);
  CHECK((evaluations == std::vector<int64_t>{0, 0, 0, 0, 1, 1, 1, 2, 2, 2}));
  order.clear();
  sample_with(*engine, hooked(tiny_request(), {Hook::kAfterCfg}), listen);
  CHECK(order == std::vector<Hook>(3, Hook::kAfterCfg));
}

TEST(hooks_replace_what_they_are_shown) {
  const auto engine = TinyFile().open();
  // The last step of Euler to sigma 0 takes the estimate itself: what after_cfg puts there is the result.
  const Floats wanted = Numbers(5).values(60);
  const Latent result = sample_with(*engine, hooked(tiny_request(), {Hook::kAfterCfg}), [&](HookCall& call) {
    if (call.evaluation != 2) return;
    call.latents[0].data = wanted;
    call.replaced = {true};
  });
  CHECK(same_bits(result.data, wanted));
  // Both branches equal: guidance has nothing to add, as without an unconditional branch.
  SampleRequest alone = tiny_request();
  alone.cfg_scale = 1;
  const Latent same = sample_with(*engine, hooked(tiny_request(), {Hook::kCfgDenoised}), [](HookCall& call) {
    CHECK(call.has_uncond);
    call.latents[1] = call.latents[0];
    call.replaced = {false, true};
  });
  CHECK(same_bits(same.data, sample(*engine, alone).data));
  // The start of another seed.
  SampleRequest other = tiny_request();
  other.seeds = {99};
  Floats start;
  sample_with(*engine, hooked(other, {Hook::kExtraNoise}), [&](HookCall& call) { start = call.latents[0].data; });
  const Latent moved = sample_with(*engine, hooked(tiny_request(), {Hook::kExtraNoise}), [&](HookCall& call) {
    call.latents[0].data = start;
    call.replaced = {true};
  });
  CHECK(same_bits(moved.data, sample(*engine, other).data));
  // What the network is asked about at the first evaluation: Euler's own x stays.
  const Latent asked = sample_with(*engine, hooked(tiny_request(), {Hook::kCfgDenoiser}), [&](HookCall& call) {
    std::fill(call.latents[0].data.begin(), call.latents[0].data.end(), 0.25f);
    call.replaced = {true};
  });
  CHECK(!same_bits(asked.data, sample(*engine, tiny_request()).data));
}

TEST(hooks_can_end_a_run) {
  const auto engine = TinyFile().open();
  std::string what;
  CHECK_THROWS(sample_with(*engine, hooked(tiny_request(), {Hook::kCfgDenoiser}),
                           [](HookCall&) { throw Error(ErrorCode::kCancelled, "enough"); }),
               ErrorCode::kCancelled, what);
  CHECK(what == "enough");
  CHECK(sample(*engine, tiny_request()).data.size() == 60);
}
