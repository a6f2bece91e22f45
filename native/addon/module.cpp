#include "addon/module.h"

#include "addon/model_object.h"
#include "boundary/requests.h"
#include "boundary/values.h"

namespace sdgen::addon {

void AddonState::connect() {
  const auto call_js = [](napi_env live, napi_value, void* state, void*) {
    if (live == nullptr) return;  // the environment is ending: nobody to tell
    Napi::details::WrapVoidCallback(live, [&] { guarded(live, [&] { static_cast<AddonState*>(state)->drain(); }); });
  };
  const napi_value name = Napi::String::New(env_, "sdgen");
  napi_status status = napi_create_threadsafe_function(env_, nullptr, nullptr, name, 1, 1, nullptr, nullptr, this,
                                                       call_js, &bell_->wake);
  if (status == napi_ok) status = napi_unref_threadsafe_function(env_, bell_->wake);
  // Hooks run last in, first out: this one joins the workers before the function above, which they call, is closed.
  const auto at_end = [](void* data) {
    auto* state = static_cast<AddonState*>(data);
    state->stop_workers();
    state->calls_.clear();
    state->bell_->wake = nullptr;
  };
  if (status == napi_ok) status = napi_add_env_cleanup_hook(env_, at_end, this);
  if (status != napi_ok) throw Napi::Error::New(env_);
  // process.exit() runs no cleanup hook on the main thread, but destroys statics that a running worker may read.
  const auto process = env_.Global().Get("process").As<Napi::Object>();
  const auto at_exit = Napi::Function::New(env_, [this](const Napi::CallbackInfo&) { stop_workers(); });
  process.Get("once").As<Napi::Function>().Call(process, {Napi::String::New(env_, "exit"), at_exit});
}

std::shared_ptr<Worker> AddonState::start_worker() {
  if (stopped_) throw Error(ErrorCode::kClosed, "the JavaScript environment is ending");
  workers_.remove_if([](const auto& worker) { return worker.expired(); });
  const auto worker = std::make_shared<Worker>([bell = bell_] { bell->ring(); });
  workers_.push_back(worker);
  return worker;
}

Napi::Promise AddonState::add(Call call) {
  calls_.push_back(std::move(call));
  if (calls_.size() == 1) napi_ref_threadsafe_function(env_, bell_->wake);
  return calls_.back().deferred.Promise();
}

Napi::Value AddonState::launch(const std::function<Call()>& prepare) {
  std::shared_ptr<Task> task;
  std::weak_ptr<Worker> worker;
  const auto promise = promised(env_, [&] {
    Call call = prepare();
    task = call.task;
    worker = call.worker;
    call.worker->submit(task);
    return add(std::move(call));
  });
  const auto cancel = [task, worker](const Napi::CallbackInfo&) {
    if (const auto alive = worker.lock(); alive && task) alive->cancel(task);
  };
  Napi::Object job = Napi::Object::New(env_);
  job.Set("promise", promise);
  job.Set("cancel", Napi::Function::New(env_, cancel, "cancel"));
  return job;
}

void AddonState::drain() {
  missed_ = draining_;
  if (draining_) return;  // called by a listener that runs the event loop itself: its caller rings again
  draining_ = true;
  const std::shared_ptr<void> done(nullptr, [this](void*) { draining_ = false; });
  for (auto place = calls_.begin(); place != calls_.end();) {
    const Napi::HandleScope scope(env_);
    const bool finished = place->task->finished();  // asked before the event is taken: see Task::take_event
    deliver(*place);
    answer(*place);
    if (finished) settle(*place);
    place = finished ? calls_.erase(place) : std::next(place);
  }
  if (missed_) bell_->ring();
  if (calls_.empty()) napi_unref_threadsafe_function(env_, bell_->wake);
}

void AddonState::deliver(Call& call) {
  const std::optional<Event> event = call.task->take_event();
  if (!event || call.listener.IsEmpty() || call.thrown) return;
  try {
    call.listener.Call({to_js(env_, boundary::to_value(*event))});
  } catch (const Napi::Error& error) {
    call.thrown = error;
    call.worker->cancel(call.task);
  }
}

void AddonState::answer(Call& call) {
  const std::shared_ptr<HookCall> question = call.task->take_question();
  if (!question) return;
  try {
    if (call.hook.IsEmpty()) throw Error(ErrorCode::kInvalidArgument, "hooks are asked for, and there is no onHook to call");
    if (!call.thrown) {
      const Napi::Value reply = call.hook.Call({to_js(env_, boundary::to_value(*question))});
      boundary::read_hook_reply(argument(reply, "the hook's answer"), *question);
    }
  } catch (const Napi::Error& error) {
    call.thrown = error;
  } catch (const Error& error) {
    call.thrown = js_error(env_, {error.code(), error.what()});
  }
  if (call.thrown) call.worker->cancel(call.task);
  call.task->answer();
}

void AddonState::settle(Call& call) {
  if (call.thrown) return call.deferred.Reject(call.thrown->Value());
  if (call.task->failure()) return call.deferred.Reject(js_error(env_, *call.task->failure()).Value());
  Napi::Value value;
  try {
    value = guarded(env_, [&] { return call.result(env_); });
  } catch (const Napi::Error& error) {
    return call.deferred.Reject(error.Value());
  }
  call.deferred.Resolve(value);
}

void AddonState::stop_workers() noexcept {
  stopped_ = true;
  for (const auto& entry : workers_) {
    if (const auto worker = entry.lock()) worker->close();
  }
  for (const auto& entry : workers_) {
    if (const auto worker = entry.lock()) worker->join();
  }
}

namespace {

/// A call of a tool: a job on a worker of its own, which needs no model.
template <boundary::Job (*prepare)(const boundary::Argument&)>
Napi::Value tool(const Napi::CallbackInfo& info) {
  auto& state = *info.Env().GetInstanceData<AddonState>();
  return state.launch([&]() -> Call {
    boundary::Job made = prepare(argument(info[0]));
    const auto result = [value = std::move(made.result)](Napi::Env env) { return to_js(env, value()); };
    return {state.start_worker(), std::make_shared<Task>(std::move(made.work)), result, Napi::Promise::Deferred::New(info.Env()), {}};
  });
}

Napi::Value version(const Napi::CallbackInfo& info) { return Napi::String::New(info.Env(), engine_version()); }

Napi::Value capabilities(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&] { return to_js(info.Env(), boundary::capabilities()); });
}

}  // namespace

}  // namespace sdgen::addon

static Napi::Object initialise(Napi::Env env, Napi::Object exports) {
  using namespace sdgen::addon;
  return guarded(env, [&] {
    auto* state = new AddonState(env);
    env.SetInstanceData(state);
    state->connect();
    state->model_class = Napi::Persistent(ModelObject::define(env));
    const auto add = [&](const char* name, Napi::Value (*call)(const Napi::CallbackInfo&)) {
      exports.Set(name, Napi::Function::New(env, call, name));
    };
    add("version", version);
    add("capabilities", capabilities);
    add("bench", tool<sdgen::boundary::bench_job>);
    add("deviceMemory", tool<sdgen::boundary::memory_job>);
    add("probePeak", tool<sdgen::boundary::probe_job>);
    add("debugEval", tool<sdgen::boundary::eval_job>);
    add("debugCompare", tool<sdgen::boundary::compare_job>);
    add("openModel", ModelObject::open);
    return exports;
  });
}

NODE_API_MODULE(sdgen, initialise)
