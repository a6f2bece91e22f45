#pragma once
// The model as JavaScript holds it: each method queues a job of the boundary's.
#include "addon/module.h"

namespace sdgen::addon {

class ModelObject : public Napi::ObjectWrap<ModelObject> {
 public:
  static Napi::Function define(Napi::Env env);
  /// openModel(options): a promise of a model.
  static Napi::Value open(const Napi::CallbackInfo& info);

  /// Not open yet: all that JavaScript's `new model.constructor()` gets.
  explicit ModelObject(const Napi::CallbackInfo& info) : ObjectWrap(info) {}
  ~ModelObject() override { account(0); }

 private:
  struct Opened {
    ModelDescription description;
    Engine* engine = nullptr;  // the worker's, until that is closed
  };
  using Prepare = boundary::Job (*)(const boundary::Argument&, const ModelDescription&);

  Napi::Value describe(const Napi::CallbackInfo& info);
  Napi::Value estimate(const Napi::CallbackInfo& info);
  Napi::Value load(const Napi::CallbackInfo& info);
  /// job(request, listener, onHook): what `prepare` makes of the request; a null name stands for a listener that there is not.
  template <Prepare prepare, const char* listener_name = nullptr, bool has_hook = false>
  Napi::Value job(const Napi::CallbackInfo& info);
  Napi::Value close(const Napi::CallbackInfo& info);

  const Opened& opened() const;
  /// Tells V8 how much memory hangs on this object.
  void account(int64_t bytes);

  std::shared_ptr<Worker> worker_;
  std::shared_ptr<Opened> opened_;
  int64_t accounted_bytes_ = 0;
};

}  // namespace sdgen::addon
