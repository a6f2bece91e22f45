#include "base/json.h"

#include <charconv>
#include <system_error>

namespace sdgen {
namespace {

/// Bytes of the well-formed UTF-8 sequence at the start of `text`; 0 if there is none.
size_t utf8_length(std::string_view text) noexcept {
  const auto byte = [&](size_t i) { return static_cast<unsigned char>(text[i]); };
  if (text.empty()) return 0;
  const unsigned lead = byte(0);
  if (lead < 0x80) return 1;
  if (lead < 0xC2 || lead > 0xF4) return 0;  // a continuation, an overlong form, above U+10FFFF
  const size_t length = lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : 4;
  if (text.size() < length) return 0;
  for (size_t i = 1; i < length; ++i) {
    if ((byte(i) & 0xC0U) != 0x80U) return 0;
  }
  const unsigned second = byte(1);
  if (lead == 0xE0 && second < 0xA0) return 0;  // overlong
  if (lead == 0xED && second > 0x9F) return 0;  // surrogate
  if (lead == 0xF0 && second < 0x90) return 0;  // overlong
  if (lead == 0xF4 && second > 0x8F) return 0;  // above U+10FFFF
  return length;
}

void append_utf8(std::string& out, uint32_t code) {
  const auto push = [&](uint32_t byte) { out.push_back(static_cast<char>(byte)); };
  if (code < 0x80) {
    push(code);
  } else if (code < 0x800) {
    push(0xC0U | code >> 6);
    push(0x80U | (code & 0x3FU));
  } else if (code < 0x10000) {
    push(0xE0U | code >> 12);
    push(0x80U | (code >> 6 & 0x3FU));
    push(0x80U | (code & 0x3FU));
  } else {
    push(0xF0U | code >> 18);
    push(0x80U | (code >> 12 & 0x3FU));
    push(0x80U | (code >> 6 & 0x3FU));
    push(0x80U | (code & 0x3FU));
  }
}

bool is_digit(char c) noexcept { return c >= '0' && c <= '9'; }

class Parser {
 public:
  Parser(std::string_view text, const JsonLimits& limits) : text_(text), limits_(limits) {}

  JsonValue document() {
    JsonValue value = parse_value(0);
    skip_space();
    if (at_ != text_.size()) fail("expected the end of the text");
    return value;
  }

 private:
  [[noreturn]] void fail(const std::string& what) const { throw JsonError(what + " at byte " + std::to_string(at_)); }
  char peek() const noexcept { return at_ < text_.size() ? text_[at_] : '\0'; }

  void skip_space() noexcept {
    while (at_ < text_.size() && std::string_view(" \t\n\r").find(text_[at_]) != std::string_view::npos) ++at_;
  }

  bool accept(char c) noexcept {
    if (at_ >= text_.size() || text_[at_] != c) return false;
    ++at_;
    return true;
  }

  /// Recursion goes no deeper than limits_.depth.
  JsonValue parse_value(int depth) {
    skip_space();
    if (++values_ > limits_.values) fail("more than " + std::to_string(limits_.values) + " values");
    if (at_ == text_.size()) fail("the text ends where a value should be");
    JsonValue out;
    switch (peek()) {
      case '{': out.value = parse_object(depth + 1); break;
      case '[': out.value = parse_array(depth + 1); break;
      case '"': out.value = parse_string(); break;
      case 't': literal("true"), out.value = true; break;
      case 'f': literal("false"), out.value = false; break;
      case 'n': literal("null"); break;
      default: out = parse_number();
    }
    return out;
  }

  void enter(int depth) {
    if (depth > limits_.depth) fail("nested deeper than " + std::to_string(limits_.depth) + " levels");
    ++at_;
  }

  JsonValue::Object parse_object(int depth) {
    enter(depth);
    JsonValue::Object members;
    skip_space();
    if (accept('}')) return members;
    do {
      skip_space();
      if (peek() != '"') fail("expected a key in double quotes");
      std::string key = parse_string();
      skip_space();
      if (!accept(':')) fail("expected ':'");
      members.push_back({std::move(key), parse_value(depth)});
      skip_space();
    } while (accept(','));
    if (!accept('}')) fail("expected ',' or '}'");
    return members;
  }

  JsonValue::Array parse_array(int depth) {
    enter(depth);
    JsonValue::Array items;
    skip_space();
    if (accept(']')) return items;
    do {
      items.push_back(parse_value(depth));
      skip_space();
    } while (accept(','));
    if (!accept(']')) fail("expected ',' or ']'");
    return items;
  }

  void literal(std::string_view word) {
    if (text_.substr(at_, word.size()) != word) fail("expected a value");
    at_ += word.size();
  }

  std::string parse_string() {
    ++at_;
    std::string out;
    for (;;) {
      if (at_ == text_.size()) fail("the text ends inside a string");
      const char c = text_[at_];
      if (c == '"') {
        ++at_;
        return out;
      }
      if (static_cast<unsigned char>(c) < 0x20) fail("a control character inside a string");
      if (c == '\\') {
        parse_escape(out);
        continue;
      }
      const size_t length = utf8_length(text_.substr(at_, 4));
      if (length == 0) fail("bytes that are not UTF-8");
      out.append(text_, at_, length);
      at_ += length;
    }
  }

  void parse_escape(std::string& out) {
    ++at_;
    switch (peek()) {
      case '"': out.push_back('"'); break;
      case '\\': out.push_back('\\'); break;
      case '/': out.push_back('/'); break;
      case 'b': out.push_back('\b'); break;
      case 'f': out.push_back('\f'); break;
      case 'n': out.push_back('\n'); break;
      case 'r': out.push_back('\r'); break;
      case 't': out.push_back('\t'); break;
      case 'u': ++at_; append_utf8(out, parse_code_point()); return;
      default: fail("an unknown escape");
    }
    ++at_;
  }

  uint32_t parse_code_point() {
    const uint32_t high = parse_hex4();
    if (high < 0xD800 || high > 0xDFFF) return high;
    if (high > 0xDBFF || !accept('\\') || !accept('u')) fail("half of a surrogate pair");
    const uint32_t low = parse_hex4();
    if (low < 0xDC00 || low > 0xDFFF) fail("half of a surrogate pair");
    return 0x10000U + ((high - 0xD800U) << 10) + (low - 0xDC00U);
  }

  uint32_t parse_hex4() {
    uint32_t code = 0;
    const std::string_view digits = text_.substr(at_, 4);
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), code, 16);
    if (error != std::errc() || end != digits.data() + 4) fail("expected four hexadecimal digits");
    at_ += 4;
    return code;
  }

  void digits() {
    if (!is_digit(peek())) fail("expected a digit");
    while (is_digit(peek())) ++at_;
  }

  JsonValue parse_number() {
    const size_t start = at_;
    if (peek() != '-' && !is_digit(peek())) fail("expected a value");
    accept('-');
    if (!accept('0')) digits();
    bool integral = true;
    if (accept('.')) integral = false, digits();
    if (accept('e') || accept('E')) {
      integral = false;
      if (!accept('+')) accept('-');
      digits();
    }
    return number_of(text_.substr(start, at_ - start), integral);
  }

  JsonValue number_of(std::string_view word, bool integral) const {
    const char* first = word.data();
    const char* last = first + word.size();
    JsonValue out;
    if (integral && word != "-0") {
      int64_t whole = 0;
      uint64_t large = 0;
      if (std::from_chars(first, last, whole).ec == std::errc()) return out.value = whole, out;
      if (word[0] != '-' && std::from_chars(first, last, large).ec == std::errc()) return out.value = large, out;
    }
    double real = 0;
    if (std::from_chars(first, last, real).ec != std::errc()) fail("a number out of range");
    return out.value = real, out;
  }

  std::string_view text_;
  const JsonLimits& limits_;
  size_t at_ = 0;
  size_t values_ = 0;
};

}  // namespace

std::optional<uint64_t> JsonValue::as_unsigned() const noexcept {
  const auto* whole = std::get_if<int64_t>(&value);
  if (whole != nullptr && *whole >= 0) return static_cast<uint64_t>(*whole);
  if (const auto* large = std::get_if<uint64_t>(&value)) return *large;
  return std::nullopt;
}

JsonValue parse_json(std::string_view text, const JsonLimits& limits) { return Parser(text, limits).document(); }

std::string json_quote(std::string_view text) {
  static constexpr char kHex[] = "0123456789abcdef";
  std::string out = "\"";
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\') {
      out.append({'\\', c});
    } else if (byte < 0x20 || byte == 0x7F) {
      out.append("\\u00").append({kHex[byte >> 4], kHex[byte & 15U]});
    } else {
      out.push_back(c);
    }
  }
  return out + '"';
}

bool is_utf8(std::string_view text) noexcept {
  while (!text.empty()) {
    const size_t length = utf8_length(text.substr(0, 4));
    if (length == 0) return false;
    text.remove_prefix(length);
  }
  return true;
}

}  // namespace sdgen
