#include "addon/bench_call.h"

#include "addon/module.h"
#include "addon/results.h"
#include "bench/bench.h"

namespace sdgen::addon {

Napi::Value start_bench(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  std::shared_ptr<Task> task;
  std::shared_ptr<Worker> worker;
  const auto promise = promised(env, [&] {
    auto& state = *env.GetInstanceData<AddonState>();
    const auto report = std::make_shared<bench::Report>();
    task = std::make_shared<Task>([options = read_bench_options(info[0]), report](std::unique_ptr<Engine>&, Task& self) {
      *report = bench::run_bench(options, self.cancelled(), nullptr);
    });
    worker = state.start_worker();
    worker->submit(task);
    const auto result = [report](Napi::Env live) -> Napi::Value {
      const Js js{live};
      return js.object({{"text", js(report_text(*report))}, {"json", js(report_json(*report))}});
    };
    return state.add({worker, task, result, Napi::Promise::Deferred::New(env), {}, {}});
  });
  const auto cancel = [task, running = std::weak_ptr(worker)](const Napi::CallbackInfo&) {
    if (const auto alive = running.lock(); alive && task) alive->cancel(task);
  };
  Napi::Object made = Napi::Object::New(env);
  made.Set("promise", promise);
  made.Set("cancel", Napi::Function::New(env, cancel, "cancel"));
  return made;
}

}  // namespace sdgen::addon
