#include "addon/tool_calls.h"

#include "addon/module.h"
#include "addon/results.h"
#include "addon/tool_arguments.h"
#include "base/cpu_info.h"
#include "bench/bench.h"
#include "bench/peaks.h"

namespace sdgen::addon {

namespace {

struct Measurement {
  Task::Work work;
  std::function<Napi::Value(Napi::Env)> result;
};

/// A measurement on a worker of its own. `prepare` reads the arguments and may throw.
template <typename Prepare>
Napi::Value start(Napi::Env env, Prepare prepare) {
  std::shared_ptr<Task> task;
  std::shared_ptr<Worker> worker;
  const auto promise = promised(env, [&] {
    auto& state = *env.GetInstanceData<AddonState>();
    Measurement measurement = prepare();
    task = std::make_shared<Task>(std::move(measurement.work));
    worker = state.start_worker();
    worker->submit(task);
    return state.add({worker, task, std::move(measurement.result), Napi::Promise::Deferred::New(env), {}, {}});
  });
  const auto cancel = [task, running = std::weak_ptr(worker)](const Napi::CallbackInfo&) {
    if (const auto alive = running.lock(); alive && task) alive->cancel(task);
  };
  Napi::Object made = Napi::Object::New(env);
  made.Set("promise", promise);
  made.Set("cancel", Napi::Function::New(env, cancel, "cancel"));
  return made;
}

}  // namespace

Napi::Value start_eval(const Napi::CallbackInfo& info) {
  return start(info.Env(), [&]() -> Measurement {
    const auto work = [options = read_eval_options(info[0])](std::unique_ptr<Engine>&, Task& self) mutable {
      options.cancel = self.cancelled();
      tools::run_eval(options);
    };
    return {work, [](Napi::Env live) -> Napi::Value { return live.Undefined(); }};
  });
}

Napi::Value start_compare(const Napi::CallbackInfo& info) {
  return start(info.Env(), [&]() -> Measurement {
    const auto found = std::make_shared<tools::Comparison>();
    const auto work = [options = read_compare_options(info[0]), found](std::unique_ptr<Engine>&, Task& self) mutable {
      options.cancel = self.cancelled();
      *found = tools::compare_devices(options);
    };
    const auto result = [found](Napi::Env live) -> Napi::Value {
      const Js js{live};
      Napi::Array ops = Napi::Array::New(live, found->ops.size());
      for (uint32_t i = 0; i < ops.Length(); ++i) {
        const tools::ComparedOp& op = found->ops[i];
        ops.Set(i, js.object({{"index", js(op.index)}, {"op", js(op.op)}, {"weight", js(op.weight)}, {"shape", js(op.shape.text())},
                              {"sameBytes", js(op.same_bytes)}, {"error", js(op.error)}, {"differs", js(op.differs)}}));
      }
      return js.object({{"tolerance", js(found->tolerance)}, {"notCompared", js(found->not_compared)}, {"ops", ops},
                        {"text", js(comparison_text(*found))}});
    };
    return {work, result};
  });
}

Napi::Value start_bench(const Napi::CallbackInfo& info) {
  return start(info.Env(), [&]() -> Measurement {
    const auto report = std::make_shared<bench::Report>();
    const auto work = [options = read_bench_options(info[0]), report](std::unique_ptr<Engine>&, Task& self) {
      *report = bench::run_bench(options, self.cancelled(), nullptr);
    };
    const auto result = [report](Napi::Env live) -> Napi::Value {
      const Js js{live};
      return js.object({{"text", js(report_text(*report))}, {"json", js(report_json(*report))}});
    };
    return {work, result};
  });
}

Napi::Value start_probe(const Napi::CallbackInfo& info) {
  return start(info.Env(), [&]() -> Measurement {
    const auto gflops = std::make_shared<double>(0);
    const auto work = [options = read_probe_options(info[0]), gflops](std::unique_ptr<Engine>&, Task&) {
      bench::PeakMeter meter(options.threads == 0 ? physical_cores() : options.threads);
      meter.sample(options.precision, options.seconds);
      *gflops = meter.gflops(options.precision);
    };
    return {work, [gflops](Napi::Env live) -> Napi::Value { return Js{live}(*gflops); }};
  });
}

}  // namespace sdgen::addon
