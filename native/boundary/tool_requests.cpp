#include "boundary/tool_requests.h"

#include "boundary/requests.h"

namespace sdgen::boundary {

bench::Options read_bench_options(const Argument& options) {
  bench::Options read;
  const auto list = [&](const char* field) {
    std::vector<std::string> items;
    if (options[field].given()) {
      for (const Argument& item : options[field].elements(16)) items.push_back(item.text());
    }
    return items;
  };
  read.arch = options["arch"].text();
  if (options["model"].given()) read.model = options["model"].text();
  read.parts = list("parts");
  read.precisions = list("precisions");
  read.width = options["width"].integer(8, 8 * kLargestSide);
  read.height = options["height"].integer(8, 8 * kLargestSide);
  read.batch = options["batch"].integer(1, kLargestBatch);
  read.device = options["device"].text();
  read.threads = static_cast<int>(options["threads"].integer(0, 1024));
  read.repeat = static_cast<int>(options["repeat"].integer(1, 1000));
  read.op_shapes = options["opShapes"].boolean();
  return read;
}

ProbeOptions read_probe_options(const Argument& options) {
  constexpr std::array<const char*, 2> measured{"fp32", "bf16"};
  const size_t precision = options["precision"].one_of(measured);
  return {measured.at(precision), static_cast<int>(options["threads"].integer(0, 1024)), options["seconds"].number(0, 60)};
}

tools::EvalOptions read_eval_options(const Argument& options) {
  tools::EvalOptions read;
  read.part = options["part"].text();
  read.inputs = options["inputs"].text();
  read.output = options["output"].text();
  read.inner = read_switch(options, "inner");
  if (read.part != "sampler") {
    read.open = read_open_options(options);
    return read;
  }
  const Argument sampler = options["sampler"];
  read.sampler = sampler["id"].text();
  read.schedule = sampler["schedule"].text();
  read.sampler_options = read_sampler_options(sampler["options"]);
  read.start_with_signal = sampler["startWithSignal"].boolean();
  return read;
}

tools::CompareOptions read_compare_options(const Argument& options) {
  const Argument second = options["second"];
  tools::CompareOptions read;
  read.open = read_open_options(options);
  read.device = second["device"].device(kDevices);
  read.precision = kPrecisions[second["precision"].one_of(kPrecisions)];
  read.part = options["part"].text();
  if (const Argument inputs = options["inputs"]; inputs.given()) read.inputs = inputs.text();
  if (const Argument tolerance = options["tolerance"]; tolerance.given()) read.tolerance = tolerance.number(0);
  return read;
}

}  // namespace sdgen::boundary
