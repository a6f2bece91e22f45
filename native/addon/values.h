#pragma once
// JavaScript's values as the boundary's, both ways. Nothing here knows what a request or a result is.
#include "addon/errors.h"
#include "boundary/argument.h"

namespace sdgen::addon {

class JsSource final : public boundary::Source {
 public:
  explicit JsSource(Napi::Value value) : value_(value) {}

  Kind kind() const override;
  bool boolean() const override { return value_.As<Napi::Boolean>().Value(); }
  double number() const override { return value_.As<Napi::Number>().DoubleValue(); }
  std::string text() const override { return value_.As<Napi::String>().Utf8Value(); }
  uint32_t length() const override;
  std::vector<float> floats() const override { return copied<Napi::Float32Array, float>(); }
  std::vector<int32_t> int32s() const override { return copied<Napi::Int32Array, int32_t>(); }
  std::vector<uint8_t> bytes() const override { return copied<Napi::Uint8Array, uint8_t>(); }
  std::shared_ptr<const Source> field(const char* name) const override;
  std::shared_ptr<const Source> element(uint32_t place) const override;
  std::string shown() const override;

 private:
  template <typename Array, typename T>
  std::vector<T> copied() const {
    const auto array = value_.As<Array>();
    return {array.Data(), array.Data() + array.ElementLength()};
  }

  Napi::Value value_;
};

/// A value of a request by its name; "" for the whole of it.
inline boundary::Argument argument(Napi::Value value, const char* name = "") { return {std::make_shared<JsSource>(value), name}; }
/// An optional listener: empty when it is undefined.
Napi::FunctionReference listener(Napi::Value value, const char* name);
/// Copies what it views.
Napi::Value to_js(Napi::Env env, const boundary::Value& value);

}  // namespace sdgen::addon
