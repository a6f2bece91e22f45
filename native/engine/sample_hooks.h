#pragma once
// The way from the sampling loop to those who listen in it, and back.
#include "backends/backend.h"
#include "engine/engine.h"

namespace sdgen {

class SampleHooks {
 public:
  SampleHooks(const SampleRequest& request, const RunControl& control, Backend& backend, int64_t channels)
      : request_(request), control_(control), backend_(backend), channels_(channels) {}

  bool wants(Hook hook) const;
  /// Shows copies of the vectors [images, height, width, channels] and writes into them what is replaced; of kCfgDenoised
  /// the last may be the unconditional branch. Whether anything was. Throws kCancelled.
  bool show(const HookCall& moment, const std::vector<VectorView>& latents) const;

 private:
  const SampleRequest& request_;
  RunControl control_;
  Backend& backend_;
  int64_t channels_;
};

}  // namespace sdgen
