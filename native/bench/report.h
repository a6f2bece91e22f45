#pragma once
// What the bench found, as text for people and as JSON.
#include <string>
#include <vector>

#include "bench/machine.h"
#include "bench/peaks.h"

namespace sdgen::bench {

/// Work of one kind of op, or of one shape, in the best run.
struct OpRow {
  std::string op;
  int64_t calls = 0;
  double seconds = 0, flops = 0, bytes = 0;
  double fastest = 0;  // seconds, each call as fast as in any run; 0: calls were not timed one by one
};

struct PartRow {
  std::string part, precision;
  double seconds = 0, flops = 0;
  double fastest = 0;  // as an op's, of all of them
  uint64_t weight_bytes = 0, arena_bytes = 0;
  std::vector<OpRow> ops;
  std::string digest = {};  // of a picture's pixels, XXH64: equal where devices and runs give equal bytes
};

struct ShapeRow {
  std::string part, precision;
  OpRow op;  // seconds, flops and bytes of one call; calls: how often the part has it
};

struct Report {
  Machine machine;
  std::string device, isa, model;
  int threads = 0;
  std::vector<LevelPeak> levels;
  double fp32_gflops = 0, bf16_gflops = 0, copy_gbs = 0;  // 0: not known, as of a card
  std::vector<PartRow> parts;
  std::vector<ShapeRow> shapes;
  double peak_rss_mib = 0;

  double peak(const std::string& precision) const { return precision == "bf16" ? bf16_gflops : fp32_gflops; }
};

/// Ends with a line break.
std::string report_text(const Report& report);
/// {machine, peak, parts, peak_rss_mib}, and op_shapes where shapes were timed; shares are fractions of 1.
std::string report_json(const Report& report);

}  // namespace sdgen::bench
