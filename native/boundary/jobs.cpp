#include "boundary/jobs.h"

#include "base/cpu_info.h"
#include "bench/peaks.h"
#include "backends/registry.h"
#include "boundary/requests.h"
#include "boundary/tool_requests.h"
#include "boundary/values.h"

namespace sdgen::boundary {

namespace {

/// A job of one engine call that may be profiled.
template <typename Request, typename Compute>
Job engine_job(const Argument& options, Request request, const char* value_name, Compute compute) {
  using Computed = std::invoke_result_t<Compute, Engine&, const Request&, const RunControl&, Task&>;
  struct Outcome {
    Computed value;
    std::vector<OpProfile> profile;
    std::vector<TrailPoint> trail;
  };
  const auto outcome = std::make_shared<Outcome>();
  const bool profile = read_switch(options, "profile"), trail = read_switch(options, "trail");
  Task::Work work = [request = std::move(request), profile, trail, outcome, compute](std::unique_ptr<Engine>& engine, Task& task) {
    const auto ask = [&task](const std::shared_ptr<HookCall>& call) { task.ask(call); };
    const RunControl control{task.cancelled(), profile ? &outcome->profile : nullptr, trail ? &outcome->trail : nullptr, ask};
    outcome->value = compute(*engine, request, control, task);
  };
  const auto result = [outcome, value_name, trail]() -> Value {
    Value::Fields fields{{value_name, to_value(outcome->value)}, {"profile", to_value(outcome->profile)}};
    if (trail) fields.emplace_back("trail", to_value(outcome->trail));
    return {std::move(fields)};
  };
  return {std::move(work), result};
}

}  // namespace

Job text_job(const Argument& request, const ModelDescription& model) {
  return engine_job(request, read_text_request(request, model), "conditionings",
                    [](Engine& engine, const TextRequest& texts, const RunControl& control, Task&) { return engine.encode_text(texts, control); });
}

Job sample_job(const Argument& request, const ModelDescription& model) {
  return engine_job(request, read_sample_request(request, model), "latent",
                    [](Engine& engine, const SampleRequest& run, const RunControl& control, Task& task) {
                      return engine.sample(run, control, [&](const StepEvent& step) { task.report(step); });
                    });
}

Job decode_job(const Argument& request, const ModelDescription& model) {
  return engine_job(request, read_decode_request(request, model), "images",
                    [](Engine& engine, const DecodeRequest& latents, const RunControl& control, Task& task) {
                      return engine.decode(latents, control, [&](int done) { task.report(ImageEvent{done}); });
                    });
}

Job encode_job(const Argument& request, const ModelDescription& model) {
  return engine_job(request, read_encode_request(request, model), "moments",
                    [](Engine& engine, const EncodeRequest& encode, const RunControl& control, Task&) { return engine.encode(encode, control); });
}

Job resize_job(const Argument& request, const ModelDescription& model) {
  return engine_job(request, read_resize_request(request, model), "latent",
                    [](Engine&, const ResizeRequest& latent, const RunControl&, Task&) { return resize_latent(latent); });
}

Job eval_job(const Argument& options) {
  const auto work = [read = read_eval_options(options)](std::unique_ptr<Engine>&, Task& task) mutable {
    read.cancel = task.cancelled();
    tools::run_eval(read);
  };
  return {work, [] { return Value(); }};
}

Job compare_job(const Argument& options) {
  const auto found = std::make_shared<tools::Comparison>();
  const auto work = [read = read_compare_options(options), found](std::unique_ptr<Engine>&, Task& task) mutable {
    read.cancel = task.cancelled();
    *found = tools::compare_devices(read);
  };
  return {work, [found] { return to_value(*found); }};
}

Job bench_job(const Argument& options) {
  const auto report = std::make_shared<bench::Report>();
  const auto work = [read = read_bench_options(options), report](std::unique_ptr<Engine>&, Task& task) {
    *report = bench::run_bench(read, task.cancelled(), nullptr);
  };
  return {work, [report] { return to_value(*report); }};
}

Job probe_job(const Argument& options) {
  const auto gflops = std::make_shared<double>(0);
  const auto work = [read = read_probe_options(options), gflops](std::unique_ptr<Engine>&, Task&) {
    bench::PeakMeter meter(read.threads == 0 ? physical_cores() : read.threads);
    meter.sample(read.precision, read.seconds);
    *gflops = meter.gflops(read.precision);
  };
  return {work, [gflops] { return Value{*gflops}; }};
}

Job memory_job(const Argument&) {
  const auto devices = std::make_shared<std::vector<DeviceMemory>>();
  const auto work = [devices](std::unique_ptr<Engine>&, Task&) { *devices = device_memory(); };
  return {work, [devices] { return to_value(*devices); }};
}

}  // namespace sdgen::boundary
