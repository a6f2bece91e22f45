// The trail of a run: a hash of each image's latent at its start and after each reported step.
#include <cstring>

#include "base/xxh64.h"
#include "tiny_model.h"

using namespace sdgen_test;
using sdgen::SampleRequest;
using sdgen::StepEvent;
using sdgen::TrailPoint;

namespace {

std::vector<TrailPoint> trail_of(sdgen::Engine& engine, const SampleRequest& request, sdgen::Latent* result = nullptr,
                                 std::vector<int>* steps = nullptr) {
  std::vector<TrailPoint> trail;
  sdgen::Latent latent = engine.sample(request, {.trail = &trail}, [&](const StepEvent& event) {
    if (steps) steps->push_back(event.step);
  });
  if (result) *result = std::move(latent);
  return trail;
}

}  // namespace

// The reference implementation's values: short inputs, its tail of 8, 4 and 1 bytes, and its blocks of 32.
TEST(xxh64_of_known_bytes) {
  const auto hash = [](const char* text) { return sdgen::xxh64(text, std::strlen(text)); };
  CHECK(hash("") == 0xef46db3751d8e999);
  CHECK(hash("a") == 0xd24ec4f1a98c6e5b);
  CHECK(hash("abc") == 0x44bc2cf5ad770999);
  CHECK(hash("Nobody inspects the spammish repetition") == 0xfbcea83c8a378bf1);
}

TEST(trail_has_the_start_and_every_reported_step) {
  const auto engine = TinyFile().open();
  for (const std::string& sampler : sdgen::sampler_ids()) {
    SampleRequest request = tiny_request(sampler);
    sdgen::Latent latent;
    std::vector<int> steps{0};
    const std::vector<TrailPoint> trail = trail_of(*engine, request, &latent, &steps);
    CHECK_MSG(trail.size() == steps.size(), sampler << ": " << trail.size() << " points");
    for (size_t i = 0; i < trail.size(); ++i) CHECK_MSG(trail[i].step == steps[i] && trail[i].hashes.size() == 1, sampler);
    CHECK_MSG(trail.back().hashes[0] == sdgen::xxh64(latent.data.data(), latent.data.size() * 4), sampler);
  }
}

TEST(trail_of_an_image_is_its_own_in_any_batch) {
  const auto engine = TinyFile().open();
  SampleRequest request = tiny_request("euler_ancestral");
  request.seeds = {11, 5, 900};
  const std::vector<TrailPoint> batch = trail_of(*engine, request);
  request.seeds = {900};
  const std::vector<TrailPoint> alone = trail_of(*engine, request);
  CHECK(batch.size() == 4 && alone.size() == 4);
  for (size_t i = 0; i < batch.size(); ++i) CHECK(batch[i].hashes[2] == alone[i].hashes[0]);
}

TEST(trail_leaves_where_a_run_changes) {
  const auto engine = TinyFile().open();
  const SampleRequest plain = tiny_request();
  const std::vector<TrailPoint> want = trail_of(*engine, plain);
  const auto first_change = [&](const SampleRequest& request) {
    const std::vector<TrailPoint> got = trail_of(*engine, request);
    size_t i = 0;
    while (i < got.size() && got[i].hashes == want[i].hashes) ++i;
    return i;
  };
  CHECK(first_change(plain) == 4);
  SampleRequest other = plain;
  other.seeds[0] += 1;
  CHECK(first_change(other) == 0);
  other = plain;
  other.cfg_scale = 7.6;
  CHECK(first_change(other) == 1);
  other = plain;
  other.sigmas[2] = 1.5f;
  CHECK(first_change(other) == 2);
}
