#pragma once
// The one place that includes napi.h, and the way of an error into JavaScript.

// Without it node-addon-api ends the process when an error meets an environment that is being torn down.
#define NODE_API_SWALLOW_UNTHROWABLE_EXCEPTIONS
#include <napi.h>

#include "engine/worker.h"

namespace sdgen::addon {

/// A JavaScript Error with the failure's message and its stable name as `code`.
inline Napi::Error js_error(Napi::Env env, const Failure& failure) {
  const char* code = error_code_name(failure.code);
  Napi::Error error = Napi::Error::New(env, failure.message.empty() ? code : failure.message.c_str());
  error.Set("code", code);
  return error;
}

/// Calls `body`; every C++ exception but a JavaScript one leaves as a JavaScript Error with a code.
template <typename Body>
auto guarded(Napi::Env env, Body&& body) {
  try {
    return body();
  } catch (const Napi::Error&) {
    throw;
  } catch (...) {
    throw js_error(env, current_failure());
  }
}

/// Calls `body`, which gives a promise; what it throws becomes a rejected one.
template <typename Body>
Napi::Value promised(Napi::Env env, Body&& body) {
  try {
    return guarded(env, body);
  } catch (const Napi::Error& error) {
    const auto deferred = Napi::Promise::Deferred::New(env);
    deferred.Reject(error.Value());
    return deferred.Promise();
  }
}

}  // namespace sdgen::addon
