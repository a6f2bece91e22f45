#pragma once
// What one JavaScript environment holds: its calls under way, its workers, the way back from their threads.
#include <list>

#include "addon/values.h"
#include "boundary/jobs.h"

namespace sdgen::addon {

/// A call under way, as the JavaScript thread sees it.
struct Call {
  std::shared_ptr<Worker> worker;
  std::shared_ptr<Task> task;
  std::function<Napi::Value(Napi::Env)> result;  // makes the value of a task that did not fail
  Napi::Promise::Deferred deferred;
  Napi::ObjectReference owner;           // keeps the model alive
  Napi::FunctionReference listener{};    // may be empty
  Napi::FunctionReference hook{};        // may be empty: then the task asks nothing
  std::optional<Napi::Error> thrown{};   // by the listener: cancels the call and becomes its error
};

/// Instance data; used by its environment's thread alone.
class AddonState {
 public:
  explicit AddonState(Napi::Env env) : env_(env) {}
  AddonState(const AddonState&) = delete;
  AddonState& operator=(const AddonState&) = delete;

  /// Makes the way back to JavaScript and sees to it that no worker outlives the environment. Once, before all else.
  void connect();
  std::shared_ptr<Worker> start_worker();
  /// Settles the call when its task, submitted already, is finished; keeps the event loop alive until then.
  Napi::Promise add(Call call);
  /// Submits the call that `prepare` makes: a NativeJob {promise, cancel}, rejected at once where that throws.
  Napi::Value launch(const std::function<Call()>& prepare);

  Napi::FunctionReference model_class;

 private:
  /// Rung from worker threads when a task has news. There is room for one wake-up: a second would tell nothing new.
  struct Bell {
    napi_threadsafe_function wake = nullptr;
    void ring() noexcept {
      if (wake != nullptr) napi_call_threadsafe_function(wake, nullptr, napi_tsfn_nonblocking);
    }
  };

  void drain();
  void deliver(Call& call);
  void answer(Call& call);
  void settle(Call& call);
  void stop_workers() noexcept;

  const Napi::Env env_;
  const std::shared_ptr<Bell> bell_ = std::make_shared<Bell>();
  std::list<Call> calls_;
  std::list<std::weak_ptr<Worker>> workers_;
  bool draining_ = false, missed_ = false, stopped_ = false;
};

}  // namespace sdgen::addon
