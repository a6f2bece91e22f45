// Models whose UNet has input channels after the latent's: inpainting and editing checkpoints.
#include <cmath>

#include "tiny_model.h"

using namespace sdgen_test;
using sdgen::ErrorCode;
using sdgen::Latent;
using sdgen::SampleRequest;

namespace {

constexpr int64_t kPixels = 15, kEach = 4 * kPixels;

Latent channels_of(int64_t channels, uint64_t seed, int64_t batch = 1) {
  return {Numbers(seed).values(batch * channels * kPixels), batch, channels, 3, 5};
}

/// D of one conditioning alone with these further channels: a single Euler step to 0.
Floats prediction(sdgen::Engine& engine, const sdgen::Conditioning& conditioning, const Latent& further) {
  SampleRequest request = tiny_request();
  request.sigmas = {9.0f, 0.0f};
  request.cfg_scale = 1;
  request.conditionings = {conditioning};
  request.uncond.clear();
  request.further = further;
  return sample(engine, request).data;
}

}  // namespace

TEST(further_channels_are_seen_and_belong_to_their_image) {
  const auto engine = TinyFile(0, 5).open();
  SampleRequest request = tiny_request();
  request.seeds = {5, 6};
  request.further = channels_of(5, 71, 2);
  const Floats both = sample(*engine, request).data;
  for (int64_t i = 0; i < 2; ++i) {
    SampleRequest one = request;
    one.seeds = {request.seeds[static_cast<size_t>(i)]};
    const auto from = request.further->data.begin() + i * 5 * kPixels;
    one.further = {{from, from + 5 * kPixels}, 1, 5, 3, 5};
    CHECK(same_bits(sample(*engine, one).data, {both.begin() + i * kEach, both.begin() + (i + 1) * kEach}));
  }
  request.further = channels_of(5, 71);  // one for all
  const Floats shared = sample(*engine, request).data;
  CHECK(same_bits({shared.begin(), shared.begin() + kEach}, {both.begin(), both.begin() + kEach}));
  request.further->data[7] += 1;
  CHECK(!same_bits(sample(*engine, request).data, shared));
}

TEST(further_channels_with_an_image_scale_follow_the_formula) {
  const auto engine = TinyFile(0, 4).open();
  for (const int64_t uncond_tokens : {8, 16}) {  // together with the prompt, and apart
    SampleRequest request = tiny_request();
    request.sigmas = {9.0f, 0.0f};
    request.conditionings = {features(8, 1), features(uncond_tokens, 2)};
    request.further = channels_of(4, 72);
    const Latent nothing{Floats(static_cast<size_t>(kEach), 0.0f), 1, 4, 3, 5};
    const Floats dc = prediction(*engine, request.conditionings[0], *request.further);
    const Floats du = prediction(*engine, request.conditionings[1], *request.further);
    const Floats dn = prediction(*engine, request.conditionings[1], nothing);
    for (const double cfg : {7.5, 1.0}) {
      request.cfg_scale = cfg;
      request.image_cfg_scale = 1.5;
      Floats want;
      for (size_t i = 0; i < dc.size(); ++i) {
        want.push_back(std::fma(1.5f, du[i] - dn[i], std::fma(static_cast<float>(cfg), dc[i] - du[i], dn[i])));
      }
      CHECK_MSG(same_bits(sample(*engine, request).data, want), uncond_tokens << " tokens, cfg " << cfg);
    }
  }
}

TEST(further_channels_are_asked_for_where_they_belong) {
  std::string what;
  const auto refused = [&](const sdgen::Engine& engine, const SampleRequest& request, const std::string& part) {
    CHECK_THROWS(sample(const_cast<sdgen::Engine&>(engine), request), ErrorCode::kInvalidArgument, what);
    CHECK_MSG(what.find(part) != std::string::npos, what);
  };
  const auto plain = TinyFile().open(), inpaint = TinyFile(0, 5).open(), edit = TinyFile(0, 4).open();
  SampleRequest request = tiny_request();
  refused(*inpaint, request, "needs 5 further channels");
  request.image_cfg_scale = 2;
  refused(*plain, request, "imageCfgScale");
  request.further = channels_of(5, 1);
  refused(*plain, request, "takes none");
  refused(*inpaint, request, "imageCfgScale");
  request = tiny_request();
  request.further = channels_of(3, 1);
  refused(*edit, request, "further: must be");
  request.further = channels_of(4, 1);
  request.image_cfg_scale = 2;
  request.parts.push_back(request.parts[0]);
  refused(*edit, request, "imageCfgScale");
}
