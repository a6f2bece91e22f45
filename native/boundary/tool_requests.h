#pragma once
// Requests of the calls that need no open model; errors as Argument's.
#include "bench/bench.h"
#include "boundary/argument.h"
#include "tools/compare.h"

namespace sdgen::boundary {

bench::Options read_bench_options(const Argument& options);
struct ProbeOptions {
  std::string precision;
  int threads;
  double seconds;
};
ProbeOptions read_probe_options(const Argument& options);
/// Options of openModel ("path" not for the part "sampler") and part, inputs, output, inner; of a sampler also
/// {sampler: {id, schedule, options, startWithSignal}}.
tools::EvalOptions read_eval_options(const Argument& options);
/// Options of openModel, for the first device, and part, inputs, tolerance, second {device, precision}.
tools::CompareOptions read_compare_options(const Argument& options);

}  // namespace sdgen::boundary
