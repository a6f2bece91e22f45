#pragma once
// Reads a JavaScript value with its place, which errors name.
#include <algorithm>
#include <cmath>
#include <limits>
#include <sstream>
#include <string>
#include <vector>

#include <napi.h>

#include "base/error.h"

namespace sdgen::addon {

inline constexpr double kAny = std::numeric_limits<double>::max();
inline constexpr int64_t kLargestSide = 1 << 20;  // of a latent; products of sides, batch and channels fit in int64
inline constexpr uint32_t kLargestBatch = 4096;

/// A JavaScript value and the name it has in errors.
class Argument {
 public:
  Argument(Napi::Value value, std::string name) : value_(value), name_(std::move(name)) {}

  [[noreturn]] void refuse(const std::string& expected) const {
    const std::string who = name_.empty() ? "the argument" : name_;
    throw Error(ErrorCode::kInvalidArgument, who + " must be " + expected + ", got " + shown());
  }

  bool given() const { return !value_.IsUndefined(); }

  Argument operator[](const char* field) const {
    if (!value_.IsObject()) refuse("an object");
    return {value_.As<Napi::Object>().Get(field), name_.empty() ? field : name_ + '.' + field};
  }

  std::vector<Argument> elements(uint32_t most) const {
    const uint32_t count = value_.IsArray() ? value_.As<Napi::Array>().Length() : 0;
    if (count < 1 || count > most) refuse("an array of 1 to " + std::to_string(most) + " elements");
    std::vector<Argument> elements;
    for (uint32_t i = 0; i < count; ++i) elements.emplace_back(value_.As<Napi::Array>().Get(i), indexed(i));
    return elements;
  }

  double number(double least, double most = kAny) const {
    const double number = as_double();
    if (number >= least && number <= most) return number;  // false for NaN
    std::ostringstream expected;
    expected << "a finite number";
    if (least > -kAny) expected << " of at least " << least;
    refuse(expected.str());
  }

  int64_t integer(int64_t least, int64_t most) const {
    const double number = as_double();
    const bool within = number >= static_cast<double>(least) && number <= static_cast<double>(most);
    if (within && std::trunc(number) == number) return static_cast<int64_t>(number);
    refuse("an integer from " + std::to_string(least) + " to " + std::to_string(most));
  }

  bool boolean() const {
    if (!value_.IsBoolean()) refuse("true or false");
    return value_.As<Napi::Boolean>().Value();
  }

  std::string text() const {
    std::string text = value_.IsString() ? value_.As<Napi::String>().Utf8Value() : std::string();
    if (text.empty() || text.find('\0') != std::string::npos) refuse("a string, not empty and without NUL");
    return text;
  }

  /// A device's name; whether the machine has it is the engine's to know.
  template <typename Names>
  std::string device(const Names& names) const {
    const std::string name = text();
    return name.starts_with("cuda:") ? name : names[one_of(names)];
  }

  /// The place of this string among `names`.
  template <typename Names>
  size_t one_of(const Names& names) const {
    const auto found = std::find(names.begin(), names.end(), text());
    if (found != names.end()) return static_cast<size_t>(found - names.begin());
    std::string all;
    for (const auto& name : names) all += (all.empty() ? "one of " : ", ") + std::string(name);
    refuse(all);
  }

  Napi::Function function() const {
    if (!value_.IsFunction()) refuse("a function");
    return value_.As<Napi::Function>();
  }

  /// A Float32Array of finite values; of `count` of them unless that is -1.
  std::vector<float> floats(int64_t count = -1) const {
    auto values = copy<Napi::Float32Array, float>(napi_float32_array, "a Float32Array", count);
    for (size_t i = 0; i < values.size(); ++i) {
      if (!std::isfinite(values[i])) element(i, values[i]).refuse("finite");
    }
    return values;
  }

  /// Colours in [-1, 1]: a Uint8Array of levels, or a Float32Array.
  std::vector<float> rgb(int64_t count) const {
    if (!value_.IsTypedArray() || value_.As<Napi::TypedArray>().TypedArrayType() == napi_float32_array) return floats(count);
    std::vector<float> colours;
    for (const uint8_t level : copy<Napi::Uint8Array, uint8_t>(napi_uint8_array, "a Uint8Array or Float32Array", count)) {
      colours.push_back(2.0f * (static_cast<float>(level) / 255.0f) - 1.0f);
    }
    return colours;
  }

  /// An Int32Array of `count` elements, each from 0 to `most`.
  std::vector<int32_t> int32s(int64_t count, int64_t most) const {
    auto values = copy<Napi::Int32Array, int32_t>(napi_int32_array, "an Int32Array", count);
    for (size_t i = 0; i < values.size(); ++i) element(i, values[i]).integer(0, most);
    return values;
  }

 private:
  double as_double() const {
    return value_.IsNumber() ? value_.As<Napi::Number>().DoubleValue() : std::numeric_limits<double>::quiet_NaN();
  }
  std::string indexed(size_t i) const { return name_ + '[' + std::to_string(i) + ']'; }
  Argument element(size_t i, double value) const { return {Napi::Number::New(value_.Env(), value), indexed(i)}; }

  /// Callers check the copy, not the array: its memory may be shared with another thread.
  template <typename Array, typename T>
  std::vector<T> copy(napi_typedarray_type type, const std::string& kind, int64_t count) const {
    const std::string expected = count < 0 ? kind : kind + " of " + std::to_string(count) + " elements";
    if (!value_.IsTypedArray() || value_.As<Napi::TypedArray>().TypedArrayType() != type) refuse(expected);
    const auto array = value_.As<Array>();
    if (count >= 0 && array.ElementLength() != static_cast<size_t>(count)) refuse(expected);
    return {array.Data(), array.Data() + array.ElementLength()};
  }

  std::string shown() const {
    if (value_.IsTypedArray()) {
      return "a typed array of " + std::to_string(value_.As<Napi::TypedArray>().ElementLength()) + " elements";
    }
    if (value_.IsArray()) return "an array of " + std::to_string(value_.As<Napi::Array>().Length()) + " elements";
    if (value_.IsFunction() || value_.IsObject() || value_.IsSymbol()) {
      return value_.IsSymbol() ? "a symbol" : value_.IsFunction() ? "a function" : "an object";
    }
    const std::string text = value_.ToString().Utf8Value();
    if (text.size() > 60) return "a value of " + std::to_string(text.size()) + " characters";
    return value_.IsString() ? '"' + text + '"' : text;
  }

  Napi::Value value_;
  std::string name_;
};

}  // namespace sdgen::addon
