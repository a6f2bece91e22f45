// Every op of the cpu backend against reference, at every level that this processor has: fp32 by equal bytes.
#include <algorithm>

#include "backends/cpu/dispatch.h"
#include "op_cases.h"

using namespace sdgen_test;

namespace {

constexpr int kThreads[] = {1, 2, 3, 8};

std::vector<std::string> levels() {
  std::vector<std::string> names;
  for (const sdgen::cpu::Level level : sdgen::cpu::kLevels) {
    if (available(level)) names.emplace_back(level_name(level));
  }
  return names;
}

/// One case: the bytes of reference at every level and with every number of threads.
void check_same(const Ready& ready, const std::string& name) {
  const Floats expected = run_on(ready, 1);
  for (const std::string& level : levels()) {
    for (const int threads : kThreads) {
      const Floats got = run_on(ready, cpu_backend_of(level, "fp32", threads));
      CHECK_MSG(same_bits(got, expected), name << " at " << level << " with " << threads << " threads");
    }
  }
}

template <typename Cases>
void check_cases(const Cases& cases) {
  for (const auto& c : cases) check_same(c.make(), c.text());
}

}  // namespace

TEST(cpu_linear_has_the_bytes_of_reference) { check_cases(linear_cases()); }
TEST(cpu_conv2d_has_the_bytes_of_reference) { check_cases(conv_cases()); }
TEST(cpu_group_norm_has_the_bytes_of_reference) { check_cases(group_norm_cases()); }
TEST(cpu_layer_norm_has_the_bytes_of_reference) { check_cases(layer_norm_cases()); }
TEST(cpu_attention_has_the_bytes_of_reference) { check_cases(attention_cases()); }
