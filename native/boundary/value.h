#pragma once
// What crosses to a caller of another language: a request comes as a Source, read as it is asked for; a result goes as a
// Value. Neither knows which language that is.
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <variant>
#include <vector>

namespace sdgen::boundary {

/// A value of the caller's. It may change between two looks: what is checked is what was copied. A function that belongs
/// to a kind is called for a value of that kind only. Errors of the caller's own (a getter that throws) pass through.
class Source {
 public:
  /// kObject: whatever has fields and is none of the others; kOther: what has none, such as null.
  enum class Kind { kAbsent, kBoolean, kNumber, kText, kArray, kFloats, kInt32s, kBytes, kObject, kOther };

  virtual ~Source() = default;
  virtual Kind kind() const = 0;
  virtual bool boolean() const = 0;
  virtual double number() const = 0;
  virtual std::string text() const = 0;       // UTF-8
  virtual uint32_t length() const = 0;        // of kArray, kFloats, kInt32s and kBytes
  virtual std::vector<float> floats() const = 0;
  virtual std::vector<int32_t> int32s() const = 0;
  virtual std::vector<uint8_t> bytes() const = 0;
  /// Of every kind that has fields, arrays among them; an absent value where there is none.
  virtual std::shared_ptr<const Source> field(const char* name) const = 0;
  virtual std::shared_ptr<const Source> element(uint32_t place) const = 0;  // of kArray
  /// Of the others how an error shows it: a number's digits, "a function", "null".
  virtual std::string shown() const = 0;
};

/// A result as plain data. Spans are of what the call computed, which lives until the caller has copied it.
struct Value {
  using List = std::vector<Value>;
  using Fields = std::vector<std::pair<std::string, Value>>;  // names may be a stranger's: none has a meaning

  std::variant<std::monostate, bool, double, std::string, List, Fields, std::span<const float>, std::span<const double>,
               std::span<const uint8_t>>
      data;
};

}  // namespace sdgen::boundary
