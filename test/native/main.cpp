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

/// sdgen-native-tests [--shard K/N] [part of a name]: of those chosen each N-th, from the K-th, counted from 1.
int main(int argc, char** argv) {
  using namespace sdgen_test;
  int shard = 1, shards = 1;
  if (argc > 2 && std::strcmp(argv[1], "--shard") == 0) {
    if (std::sscanf(argv[2], "%d/%d", &shard, &shards) != 2 || shard < 1 || shard > shards) {
      std::fprintf(stderr, "--shard must be K/N with K from 1 to N, not %s\n", argv[2]);
      return 2;
    }
    argc -= 2;
    argv += 2;
  }
  const char* filter = argc > 1 ? argv[1] : "";
  int passed = 0, failed = 0, place = 0;
  for (const Test& test : registry()) {
    if (std::strstr(test.name, filter) == nullptr || place++ % shards != shard - 1) continue;
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
    (failures_in_test == 0 ? passed : failed) += 1;
  }
  if (!scratch_folder.empty()) std::filesystem::remove_all(scratch_folder);
  std::printf("%d passed, %d failed\n", passed, failed);
  return failed == 0 && passed > 0 ? 0 : 1;
}
