#include "addon/values.h"

#include <algorithm>

namespace sdgen::addon {

using Kind = boundary::Source::Kind;

Kind JsSource::kind() const {
  if (value_.IsTypedArray()) {
    switch (value_.As<Napi::TypedArray>().TypedArrayType()) {
      case napi_float32_array: return Kind::kFloats;
      case napi_int32_array: return Kind::kInt32s;
      case napi_uint8_array: return Kind::kBytes;
      default: return Kind::kObject;
    }
  }
  switch (value_.Type()) {
    case napi_undefined: return Kind::kAbsent;
    case napi_boolean: return Kind::kBoolean;
    case napi_number: return Kind::kNumber;
    case napi_string: return Kind::kText;
    case napi_object: return value_.IsArray() ? Kind::kArray : Kind::kObject;
    case napi_function: return Kind::kObject;
    default: return Kind::kOther;
  }
}

uint32_t JsSource::length() const {
  if (value_.IsArray()) return value_.As<Napi::Array>().Length();
  return static_cast<uint32_t>(std::min<size_t>(value_.As<Napi::TypedArray>().ElementLength(), UINT32_MAX));
}

std::shared_ptr<const boundary::Source> JsSource::field(const char* name) const {
  return std::make_shared<JsSource>(value_.As<Napi::Object>().Get(name));
}

std::shared_ptr<const boundary::Source> JsSource::element(uint32_t place) const {
  return std::make_shared<JsSource>(value_.As<Napi::Array>().Get(place));
}

std::string JsSource::shown() const {
  if (value_.IsTypedArray()) {
    return "a typed array of " + std::to_string(value_.As<Napi::TypedArray>().ElementLength()) + " elements";
  }
  if (value_.IsSymbol()) return "a symbol";
  if (value_.IsFunction()) return "a function";
  return value_.IsObject() ? "an object" : value_.ToString().Utf8Value();
}

Napi::FunctionReference listener(Napi::Value value, const char* name) {
  if (value.IsUndefined()) return {};
  if (!value.IsFunction()) argument(value, name).refuse("a function");
  return Napi::Persistent(value.As<Napi::Function>());
}

namespace {

struct ToJs {
  Napi::Env env;

  Napi::Value operator()(std::monostate) const { return env.Undefined(); }
  Napi::Value operator()(bool value) const { return Napi::Boolean::New(env, value); }
  Napi::Value operator()(double value) const { return Napi::Number::New(env, value); }
  Napi::Value operator()(const std::string& value) const { return Napi::String::New(env, value); }
  Napi::Value operator()(std::span<const float> values) const { return typed<Napi::Float32Array>(values); }
  Napi::Value operator()(std::span<const double> values) const { return typed<Napi::Float64Array>(values); }
  Napi::Value operator()(std::span<const uint8_t> values) const { return typed<Napi::Uint8Array>(values); }
  Napi::Value operator()(const boundary::Value::List& values) const {
    Napi::Array array = Napi::Array::New(env, values.size());
    for (size_t i = 0; i < values.size(); ++i) array.Set(static_cast<uint32_t>(i), to_js(env, values[i]));
    return array;
  }
  /// Each name becomes an own property, even "__proto__".
  Napi::Value operator()(const boundary::Value::Fields& fields) const {
    Napi::Object object = Napi::Object::New(env);
    for (const auto& [name, value] : fields) {
      const auto key = Napi::String::New(env, name);
      object.DefineProperty(Napi::PropertyDescriptor::Value(key, to_js(env, value), napi_default_jsproperty));
    }
    return object;
  }

  template <typename Array, typename T>
  Napi::Value typed(std::span<const T> values) const {
    Array array = Array::New(env, values.size());
    std::copy(values.begin(), values.end(), array.Data());
    return array;
  }
};

}  // namespace

Napi::Value to_js(Napi::Env env, const boundary::Value& value) { return std::visit(ToJs{env}, value.data); }

}  // namespace sdgen::addon
