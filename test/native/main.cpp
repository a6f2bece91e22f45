#include <chrono>
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

namespace {

struct Choice {
  const char* part = "";      // of a name
  int shard = 1, shards = 1;  // of those chosen each `shards`-th, from the `shard`-th, counted from 1
};

/// sdgen-native-tests [--shard K/N] [PART_OF_A_NAME]
bool read_choice(int argc, char** argv, Choice& choice) {
  for (int i = 1; i < argc; ++i) {
    if (std::strcmp(argv[i], "--shard") == 0 && i + 1 < argc) {
      const bool read = std::sscanf(argv[++i], "%d/%d", &choice.shard, &choice.shards) == 2;
      if (!read || choice.shard < 1 || choice.shard > choice.shards) return false;
    } else if (argv[i][0] == '-') {
      return false;
    } else {
      choice.part = argv[i];
    }
  }
  return true;
}

/// Whether it passed; says so, with its time where that is long.
bool run_test(const sdgen_test::Test& test) {
  using namespace sdgen_test;
  failures_in_test = 0;
  const auto begin = std::chrono::steady_clock::now();
  try {
    test.body();
  } catch (const std::exception& error) {
    fail(test.name, 0, std::string("escaped exception: ") + error.what());
  }
  const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  std::printf("%s %s", failures_in_test == 0 ? "ok  " : "FAIL", test.name);
  if (seconds >= 1) std::printf("  %.0f s", seconds);
  std::printf("\n");
  std::fflush(stdout);  // a log shows how far a long run is
  return failures_in_test == 0;
}

}  // namespace

int main(int argc, char** argv) {
  using namespace sdgen_test;
  Choice choice;
  if (!read_choice(argc, argv, choice)) {
    std::fprintf(stderr, "usage: sdgen-native-tests [--shard K/N] [PART_OF_A_NAME]\n");
    return 2;
  }
  int passed = 0, failed = 0, place = 0;
  for (const Test& test : registry()) {
    if (std::strstr(test.name, choice.part) == nullptr || place++ % choice.shards != choice.shard - 1) continue;
    (run_test(test) ? passed : failed) += 1;
  }
  if (!scratch_folder.empty()) std::filesystem::remove_all(scratch_folder);
  std::printf("%d passed, %d failed\n", passed, failed);
  return failed == 0 && passed > 0 ? 0 : 1;
}
