#pragma once
// The model as JavaScript holds it: each method checks and copies its arguments and queues a task.
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
  using Result = std::function<Napi::Value(Napi::Env)>;

  Napi::Value describe(const Napi::CallbackInfo& info);
  Napi::Value estimate(const Napi::CallbackInfo& info);
  Napi::Value load(const Napi::CallbackInfo& info);
  Napi::Value encode_text(const Napi::CallbackInfo& info);
  Napi::Value sample(const Napi::CallbackInfo& info);
  Napi::Value decode(const Napi::CallbackInfo& info);
  Napi::Value encode(const Napi::CallbackInfo& info);
  Napi::Value resize_latent(const Napi::CallbackInfo& info);
  Napi::Value close(const Napi::CallbackInfo& info);

  const Opened& opened() const;
  /// Queues what `prepare` makes of the arguments and returns its NativeJob, rejected at once where they are wrong.
  /// `hook` answers what the task asks.
  template <typename Prepare>
  Napi::Value job(const Napi::CallbackInfo& info, Napi::Value listener, const char* listener_name, Napi::Value hook,
                  Prepare prepare);
  /// A job of one engine call that may be profiled; resolves to {[value_name], profile}.
  template <typename Request, typename Compute>
  Napi::Value compute(const Napi::CallbackInfo& info, Napi::Value listener, const char* listener_name, Napi::Value hook,
                      Request (*read)(Napi::Value, const ModelDescription&), const char* value_name, Compute compute);
  /// Tells V8 how much memory hangs on this object.
  void account(int64_t bytes);

  std::shared_ptr<Worker> worker_;
  std::shared_ptr<Opened> opened_;
  int64_t accounted_bytes_ = 0;
};

}  // namespace sdgen::addon
