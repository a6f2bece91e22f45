#pragma once
// A value of a request with its place, which errors name.
#include <algorithm>
#include <limits>
#include <string>
#include <vector>

#include "boundary/value.h"

namespace sdgen::boundary {

inline constexpr double kAny = std::numeric_limits<double>::max();
inline constexpr int64_t kLargestSide = 1 << 20;  // of a latent; products of sides, batch and channels fit in int64
inline constexpr uint32_t kLargestBatch = 4096;

/// Each reader throws Error(kInvalidArgument) that begins with the value's name: "seeds[1] must be an integer from 0 to
/// 9007199254740991, got 1.5".
class Argument {
 public:
  Argument(std::shared_ptr<const Source> source, std::string name) : source_(std::move(source)), name_(std::move(name)) {}

  [[noreturn]] void refuse(const std::string& expected) const;

  bool given() const { return source_->kind() != Source::Kind::kAbsent; }
  Argument operator[](const char* field) const;
  std::vector<Argument> elements(uint32_t most) const;
  double number(double least, double most = kAny) const;
  int64_t integer(int64_t least, int64_t most) const;
  bool boolean() const;
  std::string text() const;

  /// The place of this string among `names`.
  template <typename Names>
  size_t one_of(const Names& names) const {
    const auto found = std::find(names.begin(), names.end(), text());
    if (found != names.end()) return static_cast<size_t>(found - names.begin());
    std::string all;
    for (const auto& name : names) all += (all.empty() ? "one of " : ", ") + std::string(name);
    refuse(all);
  }

  /// A device's name; whether the machine has it is the engine's to know.
  template <typename Names>
  std::string device(const Names& names) const {
    const std::string name = text();
    return name.starts_with("cuda:") ? name : names[one_of(names)];
  }

  /// Finite values; `count` of them unless that is -1.
  std::vector<float> floats(int64_t count = -1) const;
  /// Colours in [-1, 1]: bytes of levels, or floats.
  std::vector<float> rgb(int64_t count) const;
  /// `count` elements, each from 0 to `most`.
  std::vector<int32_t> int32s(int64_t count, int64_t most) const;

 private:
  bool is(Source::Kind kind) const { return source_->kind() == kind; }
  double as_double() const { return is(Source::Kind::kNumber) ? source_->number() : std::numeric_limits<double>::quiet_NaN(); }
  std::string indexed(size_t i) const { return name_ + '[' + std::to_string(i) + ']'; }
  std::string shown() const;

  std::shared_ptr<const Source> source_;
  std::string name_;
};

}  // namespace sdgen::boundary
