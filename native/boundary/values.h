#pragma once
// What the engine and the tools give, as plain values. Their numbers are viewed, not copied: the original must live as
// long as its Value.
#include "backends/backend.h"
#include "bench/bench.h"
#include "boundary/value.h"
#include "engine/worker.h"
#include "tools/compare.h"

namespace sdgen::boundary {

Value to_value(const Event& event);
Value to_value(const HookCall& call);
Value to_value(const std::vector<OpProfile>& rows);
Value to_value(const std::vector<TrailPoint>& trail);
Value to_value(const std::vector<std::vector<Conditioning>>& groups);
Value to_value(const Latent& latent);
Value to_value(const Moments& moments);
Value to_value(const std::vector<Image>& images);
Value to_value(const Estimate& estimate);
Value to_value(const ModelDescription& model);
Value to_value(const tools::Comparison& comparison);
Value to_value(const bench::Report& report);
Value to_value(const std::vector<DeviceMemory>& devices);
/// What this build can do.
Value capabilities();

}  // namespace sdgen::boundary
