#include "engine/sample_hooks.h"

#include <algorithm>

#include "engine/layout.h"

namespace sdgen {

bool SampleHooks::wants(Hook hook) const { return std::find(request_.hooks.begin(), request_.hooks.end(), hook) != request_.hooks.end(); }

bool SampleHooks::show(const HookCall& moment, const std::vector<VectorView>& latents) const {
  const auto images = static_cast<int64_t>(request_.seeds.size());
  const int64_t pixels = request_.latent_height * request_.latent_width;
  std::vector<float> nhwc(static_cast<size_t>(images * channels_ * pixels));
  const auto bytes = static_cast<int64_t>(nhwc.size() * sizeof(float));
  const auto call = std::make_shared<HookCall>(moment);
  for (const VectorView& view : latents) {
    backend_.download(*view.buffer, view.offset * 4, nhwc.data(), bytes);
    Latent latent{std::vector<float>(nhwc.size()), images, channels_, request_.latent_height, request_.latent_width};
    nhwc_to_nchw(nhwc.data(), latent.data.data(), images, channels_, pixels);
    call->latents.push_back(std::move(latent));
  }
  call->replaced.assign(latents.size(), false);
  control_.ask(call);
  for (size_t i = 0; i < latents.size(); ++i) {
    if (!call->replaced[i]) continue;
    nchw_to_nhwc(call->latents[i].data.data(), nhwc.data(), images, channels_, pixels);
    backend_.upload(*latents[i].buffer, latents[i].offset * 4, nhwc.data(), bytes);
  }
  return std::find(call->replaced.begin(), call->replaced.end(), true) != call->replaced.end();
}

}  // namespace sdgen
