#pragma once
// Arguments of the calls that need no open model; errors as in addon/arguments.h.
#include "addon/errors.h"
#include "bench/bench.h"
#include "tools/compare.h"

namespace sdgen::addon {

bench::Options read_bench_options(Napi::Value value);
struct ProbeOptions {
  std::string precision;
  int threads;
  double seconds;
};
ProbeOptions read_probe_options(Napi::Value value);
/// Options of openModel ("path" not for the part "sampler") and part, inputs, output, inner; of a sampler also
/// {sampler: {id, schedule, options, startWithSignal}}.
tools::EvalOptions read_eval_options(Napi::Value value);
/// Options of openModel, for the first device, and part, inputs, tolerance, second {device, precision}.
tools::CompareOptions read_compare_options(Napi::Value value);

}  // namespace sdgen::addon
