#include "addon/model_object.h"

#include "addon/results.h"

namespace sdgen::addon {

Napi::Function ModelObject::define(Napi::Env env) {
  using M = ModelObject;
  return DefineClass(env, "Model",
                     {InstanceMethod<&M::describe>("describe"), InstanceMethod<&M::estimate>("estimate"),
                      InstanceMethod<&M::load>("load"), InstanceMethod<&M::encode_text>("encodeText"),
                      InstanceMethod<&M::sample>("sample"), InstanceMethod<&M::decode>("decode"),
                      InstanceMethod<&M::encode>("encode"), InstanceMethod<&M::resize_latent>("resizeLatent"),
                      InstanceMethod<&M::close>("close")});
}

Napi::Value ModelObject::open(const Napi::CallbackInfo& info) {
  return promised(info.Env(), [&] {
    auto& state = *info.Env().GetInstanceData<AddonState>();
    const auto opened = std::make_shared<Opened>();
    const auto task = std::make_shared<Task>(
        [options = read_open_options(info[0]), opened](std::unique_ptr<Engine>& engine, Task&) {
          engine = Engine::open(options);
          opened->engine = engine.get();
          opened->description = engine->describe();
        });
    const auto worker = state.start_worker();
    worker->submit(task);
    const auto make_model = [&state, worker, opened](Napi::Env) -> Napi::Value {
      const Napi::Object object = state.model_class.New({});
      ModelObject* model = Unwrap(object);
      model->worker_ = worker;
      model->opened_ = opened;
      return object;
    };
    return state.add({worker, task, make_model, Napi::Promise::Deferred::New(info.Env()), {}, {}});
  });
}

const ModelObject::Opened& ModelObject::opened() const {
  if (!worker_ || worker_->closed()) throw Error(ErrorCode::kClosed, "the model is closed");
  return *opened_;
}

template <typename Prepare>
Napi::Value ModelObject::job(const Napi::CallbackInfo& info, Napi::Value listener, const char* listener_name,
                             Napi::Value hook, Prepare prepare) {
  const Napi::Env env = info.Env();
  std::shared_ptr<Task> task;
  const auto promise = promised(env, [&] {
    const ModelDescription& description = opened().description;
    auto [work, result] = prepare(description);
    const Napi::Function hear = read_listener(listener, listener_name), asked = read_listener(hook, "onHook");
    task = std::make_shared<Task>(std::move(work));
    worker_->submit(task);
    return env.GetInstanceData<AddonState>()->add(
        {worker_, task, std::move(result), Napi::Promise::Deferred::New(env), Napi::Persistent(Value()),
         hear.IsEmpty() ? Napi::FunctionReference() : Napi::Persistent(hear),
         asked.IsEmpty() ? Napi::FunctionReference() : Napi::Persistent(asked)});
  });
  const auto cancel = [task, worker = std::weak_ptr(worker_)](const Napi::CallbackInfo&) {
    if (const auto alive = worker.lock(); alive && task) alive->cancel(task);
  };
  Napi::Object made = Napi::Object::New(env);
  made.Set("promise", promise);
  made.Set("cancel", Napi::Function::New(env, cancel, "cancel"));
  return made;
}

Napi::Value ModelObject::describe(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&] { return Js{info.Env()}(opened().description); });
}

Napi::Value ModelObject::estimate(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&] {
    Engine& engine = *opened().engine;
    return Js{info.Env()}(engine.estimate(read_estimate_request(info[0])));
  });
}

Napi::Value ModelObject::load(const Napi::CallbackInfo& info) {
  return job(info, info[0], "onProgress", info.Env().Undefined(), [&](const ModelDescription&) {
    struct Loaded {
      uint64_t bytes = 0;
      ModelDescription description;
    };
    const auto loaded = std::make_shared<Loaded>();
    const auto work = [loaded](std::unique_ptr<Engine>& engine, Task& task) {
      engine->load({task.cancelled()}, [&](uint64_t done, uint64_t total) {
        loaded->bytes = total;
        task.report(LoadEvent{done, total});
      });
      loaded->description = engine->describe();  // copied on the worker's thread, which may go on to change it
    };
    const auto result = [this, loaded](Napi::Env env) -> Napi::Value {
      account(std::max(accounted_bytes_, static_cast<int64_t>(loaded->bytes)));
      opened_->description = std::move(loaded->description);
      return env.Undefined();
    };
    return std::pair<Task::Work, Result>(work, result);
  });
}

template <typename Request, typename Compute>
Napi::Value ModelObject::compute(const Napi::CallbackInfo& info, Napi::Value listener, const char* listener_name,
                                 Napi::Value hook, Request (*read)(Napi::Value, const ModelDescription&), const char* value_name,
                                 Compute compute) {
  return job(info, listener, listener_name, hook, [&](const ModelDescription& model) {
    using Value = std::invoke_result_t<Compute, Engine&, const Request&, const RunControl&, Task&>;
    struct Computed {
      Value value;
      std::vector<OpProfile> profile;
      std::vector<TrailPoint> trail;
    };
    const auto computed = std::make_shared<Computed>();
    const bool profile = read_switch(info[0], "profile"), trail = read_switch(info[0], "trail");
    Task::Work work = [request = read(info[0], model), profile, trail, computed, compute](std::unique_ptr<Engine>& engine, Task& task) {
      const auto ask = [&task](const std::shared_ptr<HookCall>& call) { task.ask(call); };
      const RunControl control{task.cancelled(), profile ? &computed->profile : nullptr, trail ? &computed->trail : nullptr, ask};
      computed->value = compute(*engine, request, control, task);
    };
    Result result = [computed, value_name, trail](Napi::Env env) -> Napi::Value {
      const Js js{env};
      Napi::Object made = js.object({{value_name, js(computed->value)}, {"profile", js(computed->profile)}});
      if (trail) made.Set("trail", js(computed->trail));
      return made;
    };
    return std::pair(std::move(work), std::move(result));
  });
}

Napi::Value ModelObject::encode_text(const Napi::CallbackInfo& info) {
  return compute(info, info.Env().Undefined(), "", info.Env().Undefined(), read_text_request, "conditionings",
                 [](Engine& engine, const TextRequest& request, const RunControl& control, Task&) {
                   return engine.encode_text(request, control);
                 });
}

Napi::Value ModelObject::sample(const Napi::CallbackInfo& info) {
  return compute(info, info[1], "onStep", info[2], read_sample_request, "latent",
                 [](Engine& engine, const SampleRequest& request, const RunControl& control, Task& task) {
                   return engine.sample(request, control, [&](const StepEvent& step) { task.report(step); });
                 });
}

Napi::Value ModelObject::decode(const Napi::CallbackInfo& info) {
  return compute(info, info[1], "onImage", info.Env().Undefined(), read_decode_request, "images",
                 [](Engine& engine, const DecodeRequest& request, const RunControl& control, Task& task) {
                   return engine.decode(request, control, [&](int done) { task.report(ImageEvent{done}); });
                 });
}

Napi::Value ModelObject::encode(const Napi::CallbackInfo& info) {
  return compute(info, info.Env().Undefined(), "", info.Env().Undefined(), read_encode_request, "moments",
                 [](Engine& engine, const std::vector<Picture>& pictures, const RunControl& control, Task&) {
                   return engine.encode(pictures, control);
                 });
}

Napi::Value ModelObject::resize_latent(const Napi::CallbackInfo& info) {
  return compute(info, info.Env().Undefined(), "", info.Env().Undefined(), read_resize_request, "latent",
                 [](Engine&, const ResizeRequest& request, const RunControl&, Task&) { return sdgen::resize_latent(request); });
}

Napi::Value ModelObject::close(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  return promised(env, [&] {
    const auto deferred = Napi::Promise::Deferred::New(env);
    if (!worker_) {  // never opened
      deferred.Resolve(env.Undefined());
      return deferred.Promise();
    }
    const auto farewell = std::make_shared<Task>(nullptr);
    worker_->close(farewell);
    const auto result = [this](Napi::Env ended) -> Napi::Value {
      worker_->join();
      account(0);
      return ended.Undefined();
    };
    return env.GetInstanceData<AddonState>()->add({worker_, farewell, result, deferred, Napi::Persistent(Value()), {}});
  });
}

void ModelObject::account(int64_t bytes) {
  int64_t all = 0;
  if (bytes != accounted_bytes_) napi_adjust_external_memory(Env(), bytes - accounted_bytes_, &all);
  accounted_bytes_ = bytes;
}

}  // namespace sdgen::addon
