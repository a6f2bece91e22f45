#include "boundary/argument.h"

#include <cmath>
#include <sstream>

#include "base/error.h"

namespace sdgen::boundary {

namespace {

using Kind = Source::Kind;

[[noreturn]] void refuse_as(const std::string& name, const std::string& expected, const std::string& shown) {
  throw Error(ErrorCode::kInvalidArgument, (name.empty() ? "the argument" : name) + " must be " + expected + ", got " + shown);
}

std::string integer_range(int64_t least, int64_t most) {
  return "an integer from " + std::to_string(least) + " to " + std::to_string(most);
}

std::string counted(const std::string& kind, int64_t count) {
  return count < 0 ? kind : kind + " of " + std::to_string(count) + " elements";
}

void require_count(const Argument& argument, size_t found, int64_t count, const std::string& kind) {
  if (count >= 0 && found != static_cast<size_t>(count)) argument.refuse(counted(kind, count));
}

/// A copy of `count` elements, unless that is -1. The copy is what is checked: the array's memory may be shared with another thread.
template <typename Copy>
auto copied(const Argument& argument, const Source& source, int64_t count, const std::string& kind, Copy copy) {
  require_count(argument, source.length(), count, kind);  // before something large is copied
  auto values = copy(source);
  require_count(argument, values.size(), count, kind);
  return values;
}

}  // namespace

void Argument::refuse(const std::string& expected) const { refuse_as(name_, expected, shown()); }

Argument Argument::operator[](const char* field) const {
  const Kind kind = source_->kind();
  const bool has_fields = kind == Kind::kArray || kind == Kind::kFloats || kind == Kind::kInt32s || kind == Kind::kBytes || kind == Kind::kObject;
  if (!has_fields) refuse("an object");
  return {source_->field(field), name_.empty() ? field : name_ + '.' + field};
}

std::vector<Argument> Argument::elements(uint32_t most) const {
  const uint32_t count = is(Kind::kArray) ? source_->length() : 0;
  if (count < 1 || count > most) refuse("an array of 1 to " + std::to_string(most) + " elements");
  std::vector<Argument> elements;
  for (uint32_t i = 0; i < count; ++i) elements.emplace_back(source_->element(i), indexed(i));
  return elements;
}

double Argument::number(double least, double most) const {
  const double number = as_double();
  if (number >= least && number <= most) return number;  // false for NaN
  std::ostringstream expected;
  expected << "a finite number";
  if (least > -kAny) expected << " of at least " << least;
  refuse(expected.str());
}

int64_t Argument::integer(int64_t least, int64_t most) const {
  const double number = as_double();
  const bool within = number >= static_cast<double>(least) && number <= static_cast<double>(most);
  if (within && std::trunc(number) == number) return static_cast<int64_t>(number);
  refuse(integer_range(least, most));
}

bool Argument::boolean() const {
  if (!is(Kind::kBoolean)) refuse("true or false");
  return source_->boolean();
}

std::string Argument::text() const {
  std::string text = is(Kind::kText) ? source_->text() : std::string();
  if (text.empty() || text.find('\0') != std::string::npos) refuse("a string, not empty and without NUL");
  return text;
}

std::vector<float> Argument::floats(int64_t count) const {
  if (!is(Kind::kFloats)) refuse(counted("a Float32Array", count));
  std::vector<float> values = copied(*this, *source_, count, "a Float32Array", [](const Source& source) { return source.floats(); });
  for (size_t i = 0; i < values.size(); ++i) {
    if (std::isnan(values[i])) refuse_as(indexed(i), "finite", "NaN");
    if (std::isinf(values[i])) refuse_as(indexed(i), "finite", values[i] < 0 ? "-Infinity" : "Infinity");
  }
  return values;
}

std::vector<float> Argument::rgb(int64_t count) const {
  if (is(Kind::kFloats)) return floats(count);
  const std::string kind = "a Uint8Array or Float32Array";
  if (!is(Kind::kBytes)) refuse(counted(kind, count));
  const std::vector<uint8_t> levels = copied(*this, *source_, count, kind, [](const Source& source) { return source.bytes(); });
  std::vector<float> colours(levels.size());
  for (size_t i = 0; i < levels.size(); ++i) colours[i] = 2.0f * (static_cast<float>(levels[i]) / 255.0f) - 1.0f;
  return colours;
}

std::vector<int32_t> Argument::int32s(int64_t count, int64_t most) const {
  if (!is(Kind::kInt32s)) refuse(counted("an Int32Array", count));
  std::vector<int32_t> values = copied(*this, *source_, count, "an Int32Array", [](const Source& source) { return source.int32s(); });
  for (size_t i = 0; i < values.size(); ++i) {
    if (values[i] < 0 || values[i] > most) refuse_as(indexed(i), integer_range(0, most), std::to_string(values[i]));
  }
  return values;
}

std::string Argument::shown() const {
  constexpr size_t kLongest = 60;
  if (is(Kind::kArray)) return counted("an array", source_->length());
  const bool is_text = is(Kind::kText);
  const std::string text = is_text ? source_->text() : source_->shown();
  if (text.size() > kLongest) return "a value of " + std::to_string(text.size()) + " characters";
  return is_text ? '"' + text + '"' : text;
}

}  // namespace sdgen::boundary
