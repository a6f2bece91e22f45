#include "addon/model_object.h"

#include "boundary/requests.h"
#include "boundary/values.h"

namespace sdgen::addon {

namespace {

constexpr char kOnStep[] = "onStep", kOnImage[] = "onImage";

}  // namespace

Napi::Function ModelObject::define(Napi::Env env) {
  using M = ModelObject;
  return DefineClass(env, "Model",
                     {InstanceMethod<&M::describe>("describe"), InstanceMethod<&M::estimate>("estimate"),
                      InstanceMethod<&M::load>("load"), InstanceMethod<&M::job<boundary::text_job>>("encodeText"),
                      InstanceMethod<&M::job<boundary::sample_job, kOnStep, true>>("sample"),
                      InstanceMethod<&M::job<boundary::decode_job, kOnImage>>("decode"),
                      InstanceMethod<&M::job<boundary::encode_job>>("encode"),
                      InstanceMethod<&M::job<boundary::resize_job>>("resizeLatent"), InstanceMethod<&M::close>("close")});
}

Napi::Value ModelObject::open(const Napi::CallbackInfo& info) {
  return promised(info.Env(), [&] {
    auto& state = *info.Env().GetInstanceData<AddonState>();
    const auto opened = std::make_shared<Opened>();
    const auto task = std::make_shared<Task>(
        [options = boundary::read_open_options(argument(info[0])), opened](std::unique_ptr<Engine>& engine, Task&) {
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

Napi::Value ModelObject::describe(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&] { return to_js(info.Env(), boundary::to_value(opened().description)); });
}

Napi::Value ModelObject::estimate(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&] {
    const Engine& engine = *opened().engine;
    return to_js(info.Env(), boundary::to_value(engine.estimate(boundary::read_estimate_request(argument(info[0])))));
  });
}

Napi::Value ModelObject::load(const Napi::CallbackInfo& info) {
  return info.Env().GetInstanceData<AddonState>()->launch([&]() -> Call {
    opened();
    struct Loaded {
      uint64_t bytes = 0;
      ModelDescription description;
    };
    const auto loaded = std::make_shared<Loaded>();
    const auto task = std::make_shared<Task>([loaded](std::unique_ptr<Engine>& engine, Task& self) {
      engine->load({self.cancelled()}, [&](uint64_t done, uint64_t total) {
        loaded->bytes = total;
        self.report(LoadEvent{done, total});
      });
      loaded->description = engine->describe();  // copied on the worker's thread, which may go on to change it
    });
    const auto result = [this, loaded](Napi::Env env) -> Napi::Value {
      account(std::max(accounted_bytes_, static_cast<int64_t>(loaded->bytes)));
      opened_->description = std::move(loaded->description);
      return env.Undefined();
    };
    return {worker_, task, result, Napi::Promise::Deferred::New(info.Env()), Napi::Persistent(Value()), listener(info[0], "onProgress")};
  });
}

template <ModelObject::Prepare prepare, const char* listener_name, bool has_hook>
Napi::Value ModelObject::job(const Napi::CallbackInfo& info) {
  return info.Env().GetInstanceData<AddonState>()->launch([&]() -> Call {
    boundary::Job made = prepare(argument(info[0]), opened().description);
    const auto result = [value = std::move(made.result)](Napi::Env env) { return to_js(env, value()); };
    return {worker_, std::make_shared<Task>(std::move(made.work)), result, Napi::Promise::Deferred::New(info.Env()),
            Napi::Persistent(Value()), listener_name == nullptr ? Napi::FunctionReference() : listener(info[1], listener_name),
            has_hook ? listener(info[2], "onHook") : Napi::FunctionReference()};
  });
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
