#pragma once
// A test is TEST(name) { … CHECK(…) … }; main runs those whose name contains argv[1].
#include <cmath>
#include <cstdio>
#include <functional>
#include <sstream>
#include <string>
#include <vector>

namespace sdgen_test {

struct Test {
  const char* name;
  void (*body)();
};
std::vector<Test>& registry();
struct Registrar {
  Registrar(const char* name, void (*body)()) { registry().push_back({name, body}); }
};
void fail(const char* file, int line, const std::string& message);
/// Folder of committed fixtures (SDGEN_FIXTURES or test/fixtures under the working directory).
std::string fixture(const std::string& name);
/// A fresh path in a scratch folder that is removed at exit.
std::string scratch(const std::string& name);

}  // namespace sdgen_test

#define TEST(name)                                                          \
  static void test_##name();                                                \
  static const sdgen_test::Registrar registrar_##name(#name, test_##name);  \
  static void test_##name()

#define CHECK(condition)                                                      \
  do {                                                                        \
    if (!(condition)) sdgen_test::fail(__FILE__, __LINE__, "CHECK(" #condition ")"); \
  } while (false)

#define CHECK_MSG(condition, message)                                          \
  do {                                                                         \
    if (!(condition)) {                                                        \
      std::ostringstream stream_;                                              \
      stream_ << "CHECK(" #condition "): " << message;                         \
      sdgen_test::fail(__FILE__, __LINE__, stream_.str());                     \
    }                                                                          \
  } while (false)

/// The statement must throw sdgen::Error with that code; its message is left in `what_out` (a std::string).
#define CHECK_THROWS(statement, expected_code, what_out)                        \
  do {                                                                          \
    bool thrown_ = false;                                                       \
    try {                                                                       \
      statement;                                                                \
    } catch (const sdgen::Error& error_) {                                      \
      thrown_ = true;                                                           \
      what_out = error_.what();                                                 \
      CHECK_MSG(error_.code() == (expected_code), "got " << sdgen::error_code_name(error_.code()) << ": " << error_.what()); \
    }                                                                           \
    CHECK_MSG(thrown_, "nothing was thrown by " #statement);                    \
  } while (false)
