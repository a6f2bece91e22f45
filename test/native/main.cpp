#include <cstdlib>
#include <cstring>
#include <exception>
#include <filesystem>

#include "check.h"
#include <unistd.h>

namespace sdgen_test {
namespace {
int failures_in_test = 0;
std::string scratch_folder;
}  // namespace

std::vector<Test>& registry() {
  static std::vector<Test> tests;
  return tests;
}

void fail(const char* file, int line, const std::string& message) {
  // One planted fault can fail thousands of checks: the first few tell enough.
  if (++failures_in_test <= 8) std::fprintf(stderr, "  %s:%d: %s\n", file, line, message.c_str());
}

std::string fixture(const std::string& name) {
  const char* folder = std::getenv("SDGEN_FIXTURES");
  return std::string(folder != nullptr ? folder : "test/fixtures") + "/" + name;
}

std::string scratch(const std::string& name) {
  if (scratch_folder.empty()) {
    std::string pattern = (std::filesystem::temp_directory_path() / "sdgen-native-XXXXXX").string();
    scratch_folder = mkdtemp(pattern.data());
  }
  return scratch_folder + "/" + name;
}

}  // namespace sdgen_test

int main(int argc, char** argv) {
  using namespace sdgen_test;
  const char* filter = argc > 1 ? argv[1] : "";
  int passed = 0, failed = 0;
  for (const Test& test : registry()) {
    if (std::strstr(test.name, filter) == nullptr) continue;
    failures_in_test = 0;
    try {
      test.body();
    } catch (const std::exception& error) {
      fail(test.name, 0, std::string("escaped exception: ") + error.what());
    }
    std::printf("%s %s\n", failures_in_test == 0 ? "ok  " : "FAIL", test.name);
    (failures_in_test == 0 ? passed : failed) += 1;
  }
  if (!scratch_folder.empty()) std::filesystem::remove_all(scratch_folder);
  std::printf("%d passed, %d failed\n", passed, failed);
  return failed == 0 && passed > 0 ? 0 : 1;
}
