#include "base/json.h"

#include <limits>

#include "check.h"

namespace {

using sdgen::JsonError;
using sdgen::JsonLimits;
using sdgen::JsonValue;
using sdgen::parse_json;

/// The message, or "" if the text was accepted.
std::string refusal(std::string_view text, const JsonLimits& limits = {}) {
  try {
    parse_json(text, limits);
  } catch (const JsonError& error) {
    return error.what();
  }
  return "";
}

template <typename T>
bool holds(std::string_view text, const T& expected) {
  const JsonValue value = parse_json(text);
  const T* got = std::get_if<T>(&value.value);
  return got != nullptr && *got == expected;
}

}  // namespace

TEST(json_values) {
  CHECK(holds("null", nullptr));
  CHECK(holds(" true\n", true));
  CHECK(holds("\tfalse\r", false));
  CHECK(holds<std::string>(R"("a\"\\\/\b\f\n\r\t")", "a\"\\/\b\f\n\r\t"));
  CHECK(parse_json("[]").as_array()->empty());
  CHECK(parse_json(" { } ").as_object()->empty());
  const JsonValue nested = parse_json(R"({"b":[1,{"c":"d"}],"a":2})");
  const JsonValue::Object& members = *nested.as_object();
  CHECK(members.size() == 2 && members[0].key == "b" && members[1].key == "a");
  const JsonValue::Array& items = *members[0].value.as_array();
  CHECK(items.size() == 2 && items[0].as_unsigned() == 1U);
  CHECK(*(*items[1].as_object())[0].value.as_string() == "d");
  CHECK(items[0].as_string() == nullptr && items[0].as_array() == nullptr && items[0].as_object() == nullptr);
}

TEST(json_integers_are_exact) {
  CHECK(holds<int64_t>("0", 0));
  CHECK(holds<int64_t>("-1", -1));
  CHECK(holds<int64_t>("9007199254740993", 9007199254740993));
  CHECK(holds<int64_t>("9223372036854775807", std::numeric_limits<int64_t>::max()));
  CHECK(holds<int64_t>("-9223372036854775808", std::numeric_limits<int64_t>::min()));
  CHECK(holds<uint64_t>("9223372036854775808", uint64_t{1} << 63));
  CHECK(holds<uint64_t>("18446744073709551615", std::numeric_limits<uint64_t>::max()));
  CHECK(holds<double>("18446744073709551616", 0x1p64));
  CHECK(holds<double>("-9223372036854775809", -0x1p63));
  CHECK(parse_json("18446744073709551615").as_unsigned() == std::numeric_limits<uint64_t>::max());
  CHECK(!parse_json("-1").as_unsigned() && !parse_json("1.0").as_unsigned() && !parse_json("\"1\"").as_unsigned());
}

TEST(json_reals) {
  CHECK(holds("0.1", 0.1));
  CHECK(holds("-2.5E-3", -2.5e-3));
  CHECK(holds("1e3", 1000.0));
  CHECK(holds("1e+3", 1000.0));
  CHECK(std::signbit(std::get<double>(parse_json("-0").value)));
  CHECK(refusal("1e999") == "a number out of range at byte 5");
}

TEST(json_repeated_keys_are_kept) {
  const JsonValue value = parse_json(R"({"a":1,"a":2})");
  CHECK(value.as_object()->size() == 2);
  CHECK((*value.as_object())[1].value.as_unsigned() == 2U);
}

TEST(json_unicode) {
  CHECK(holds<std::string>(R"("\u0041\u00e9\u20AC\ud83d\uDE00\u0000")", std::string("Aé€😀") + '\0'));
  CHECK(holds<std::string>("\"é€😀\"", "é€😀"));
  for (const char* text : {R"("\ud83d")", R"("\ud83dx")", R"("\ud83d\u0041")", R"("\ude00")", R"("\ud83d\n")"}) {
    CHECK_MSG(refusal(text).starts_with("half of a surrogate pair"), text << ": " << refusal(text));
  }
  const std::string bad[] = {"\x80", "\xC0\x80", "\xC1\xBF", "\xC3", "\xE0\x80\x80", "\xED\xA0\x80", "\xF0\x80\x80\x80",
                             "\xF4\x90\x80\x80", "\xF5\x80\x80\x80", "\xFF", "\xE2\x82", "\xE2(\xA1"};
  for (const std::string& bytes : bad) {
    CHECK(refusal('"' + bytes + '"') == "bytes that are not UTF-8 at byte 1");
    CHECK(!sdgen::is_utf8(bytes));
  }
  CHECK(sdgen::is_utf8("") && sdgen::is_utf8("aé€😀") && !sdgen::is_utf8("a\xC3"));
}

TEST(json_refuses) {
  const std::pair<const char*, const char*> cases[] = {
      {"", "the text ends where a value should be at byte 0"},
      {"  ", "the text ends where a value should be at byte 2"},
      {"{", "expected a key in double quotes at byte 1"},
      {"{\"a\"}", "expected ':' at byte 4"},
      {"{\"a\":}", "expected a value at byte 5"},
      {"{\"a\":1,}", "expected a key in double quotes at byte 7"},
      {"{\"a\":1 \"b\":2}", "expected ',' or '}' at byte 7"},
      {"{a:1}", "expected a key in double quotes at byte 1"},
      {"[1,]", "expected a value at byte 3"},
      {"[1 2]", "expected ',' or ']' at byte 3"},
      {"[1", "expected ',' or ']' at byte 2"},
      {"nul", "expected a value at byte 0"},
      {"NaN", "expected a value at byte 0"},
      {"Infinity", "expected a value at byte 0"},
      {"01", "expected the end of the text at byte 1"},
      {"-", "expected a digit at byte 1"},
      {"+1", "expected a value at byte 0"},
      {".5", "expected a value at byte 0"},
      {"1.", "expected a digit at byte 2"},
      {"1e", "expected a digit at byte 2"},
      {"0x10", "expected the end of the text at byte 1"},
      {"1 1", "expected the end of the text at byte 2"},
      {"\"a", "the text ends inside a string at byte 2"},
      {"\"\n\"", "a control character inside a string at byte 1"},
      {"\"\\x\"", "an unknown escape at byte 2"},
      {"\"\\", "an unknown escape at byte 2"},
      {"\"\\u12g4\"", "expected four hexadecimal digits at byte 3"},
      {"\"\\u12", "expected four hexadecimal digits at byte 3"},
      {"\"\\u-123\"", "expected four hexadecimal digits at byte 3"},
      {"'a'", "expected a value at byte 0"},
      {"// x\n1", "expected a value at byte 0"},
      {"\xEF\xBB\xBF{}", "expected a value at byte 0"},
  };
  for (const auto& [text, message] : cases) CHECK_MSG(refusal(text) == message, text << " gave: " << refusal(text));
  CHECK(refusal(std::string_view("1\0", 2)) == "expected the end of the text at byte 1");
}

TEST(json_is_bounded) {
  const auto nest = [](size_t depth) { return std::string(depth, '[') + std::string(depth, ']'); };
  CHECK(refusal(nest(32)).empty());
  CHECK(refusal(nest(33)) == "nested deeper than 32 levels at byte 32");
  CHECK(refusal(std::string(1'000'000, '[')) == "nested deeper than 32 levels at byte 32");
  std::string objects;
  for (int i = 0; i < 100'000; ++i) objects += "{\"\":";
  CHECK(refusal(objects).starts_with("nested deeper than 32 levels"));
  CHECK(refusal("[1,2,3]", {.depth = 32, .values = 4}).empty());
  CHECK(refusal("[1,2,3]", {.depth = 32, .values = 3}) == "more than 3 values at byte 5");
  CHECK(refusal("{\"a\":1,\"b\":2}", {.depth = 1, .values = 2}) == "more than 2 values at byte 11");
}

TEST(json_quote_round_trip) {
  const std::string text = std::string("\"\\/\b\f\n\r\t\x01\x7F é€😀") + '\0' + "x";
  CHECK(holds(sdgen::json_quote(text), text));
  CHECK(sdgen::json_quote("a\"\n") == "\"a\\\"\\u000a\"");
}
