#include "bench/report.h"

#include <algorithm>
#include <cstdarg>
#include <cstdio>

#include "base/json.h"

namespace sdgen::bench {
namespace {

[[gnu::format(printf, 1, 2)]] std::string format(const char* pattern, ...) {
  char text[512];
  va_list arguments;
  va_start(arguments, pattern);
  std::vsnprintf(text, sizeof text, pattern, arguments);
  va_end(arguments);
  return text;
}

double mib(uint64_t bytes) { return static_cast<double>(bytes) / (1 << 20); }
double rate(double flops, double seconds) { return seconds > 0 ? flops / seconds * 1e-9 : 0; }
double share(double flops, double seconds, double peak) { return peak > 0 ? rate(flops, seconds) / peak : 0; }

/// How much of what the roofline allows: the peak, or memory traffic at copying speed where that takes longer.
double roofline_share(const OpRow& op, double peak, double copy_gbs) {
  if (peak <= 0 || copy_gbs <= 0 || op.seconds <= 0) return 0;
  return std::max(op.flops / peak, op.bytes / copy_gbs) * 1e-9 / op.seconds;
}

/// A share for people; "-" where the peak is not known.
std::string percent(double part, double peak) { return peak > 0 ? format("%.1f %%", 100 * part) : "-"; }

std::string machine_text(const Report& r) {
  std::string text = format("%s, %d cores, %.1f GiB; %d threads, device %s (%s)\n", r.machine.cpu.c_str(), r.machine.cores,
                            r.machine.memory_gib, r.threads, r.device.c_str(), r.isa.c_str());
  for (const LevelPeak& level : r.levels) {
    text += format("peak %-11s fp32 %8.1f GFLOP/s", level.isa.c_str(), level.fp32_gflops);
    if (level.bf16_gflops > 0) text += format("   bf16 %8.1f GFLOP/s", level.bf16_gflops);
    text += "\n";
  }
  if (r.copy_gbs <= 0) return text + "peak and copying: not measured on this device\n";
  return text + format("copy             %13.1f GB/s\n", r.copy_gbs);
}

std::string part_text(const Report& r, const PartRow& part) {
  std::string text = format("\n%s of %s, %s: %.4f s, %.1f GFLOP, %.1f GFLOP/s, %s of peak; weights %.0f MiB, arena %.0f MiB\n",
                            part.part.c_str(), r.model.c_str(), part.precision.c_str(), part.seconds, part.flops * 1e-9,
                            rate(part.flops, part.seconds), percent(share(part.flops, part.seconds, r.peak(part.precision)), r.peak(part.precision)).c_str(),
                            mib(part.weight_bytes), mib(part.arena_bytes));
  if (!part.digest.empty()) text += "  pixels " + part.digest + "\n";
  if (part.ops.empty()) return text;
  const double peak = r.peak(part.precision);
  const auto fastest = [&](double flops, double seconds) { return percent(share(flops, seconds, peak), seconds > 0 ? peak : 0); };
  if (part.fastest > 0) text += format("  each call at its fastest: %.4f s, %s\n", part.fastest, fastest(part.flops, part.fastest).c_str());
  text += format("  %-20s %6s %10s %7s %10s %10s %7s %9s\n", "op", "calls", "seconds", "time", "GFLOP", "GFLOP/s", "peak", "fastest");
  for (const OpRow& op : part.ops) {
    text += format("  %-20s %6lld %10.5f %5.1f %% %10.2f %10.1f %7s %9s\n", op.op.c_str(), static_cast<long long>(op.calls), op.seconds,
                   part.seconds > 0 ? 100 * op.seconds / part.seconds : 0, op.flops * 1e-9, rate(op.flops, op.seconds),
                   percent(share(op.flops, op.seconds, peak), peak).c_str(), fastest(op.flops, op.fastest).c_str());
  }
  return text;
}

std::string shapes_text(const Report& r) {
  std::string text, part;
  for (const ShapeRow& row : r.shapes) {
    const std::string heading = row.part + " " + row.precision;
    if (heading != part) {
      text += format("\n%-72s %5s %10s %9s %9s %7s %8s\n", heading.c_str(), "calls", "ms a call", "ms in all", "GFLOP/s", "peak", "roofline");
    }
    part = heading;
    const double peak = r.peak(row.precision);
    text += format("  %-70s %5lld %10.3f %9.2f %9.1f %7s %8s\n", row.op.op.c_str(), static_cast<long long>(row.op.calls),
                   1e3 * row.op.seconds, 1e3 * row.op.seconds * static_cast<double>(row.op.calls), rate(row.op.flops, row.op.seconds),
                   percent(share(row.op.flops, row.op.seconds, peak), peak).c_str(),
                   percent(roofline_share(row.op, peak, r.copy_gbs), peak).c_str());
  }
  return text;
}

/// A JSON number with 6 significant digits; null for what is not there.
std::string number(double value) { return format("%.6g", value); }
std::string number_or_null(double value) { return value > 0 ? number(value) : "null"; }
/// null where the peak is not known.
std::string share_json(double share, double peak) { return peak > 0 ? number(share) : "null"; }

/// What the calls make together, each as fast as in any run; nothing where they were not timed one by one.
std::string fastest_json(double flops, double seconds, double peak) {
  if (seconds <= 0) return "";
  return ", \"fastest_seconds\": " + number(seconds) + ", \"fastest_share_of_peak\": " + share_json(share(flops, seconds, peak), peak);
}

std::string op_json(const OpRow& op, double peak) {
  return "{\"op\": " + json_quote(op.op) + ", \"calls\": " + std::to_string(op.calls) + ", \"seconds\": " + number(op.seconds) +
         ", \"gflop\": " + number(op.flops * 1e-9) + ", \"gflops\": " + number(rate(op.flops, op.seconds)) +
         ", \"share_of_peak\": " + share_json(share(op.flops, op.seconds, peak), peak) + fastest_json(op.flops, op.fastest, peak) + "}";
}

template <typename Rows, typename ToJson>
std::string array_json(const Rows& rows, const std::string& indent, ToJson to_json) {
  std::string text = "[";
  for (size_t i = 0; i < rows.size(); ++i) text += (i ? ",\n" : "\n") + indent + "  " + to_json(rows[i]);
  return text + (rows.empty() ? "]" : "\n" + indent + "]");
}

std::string machine_json(const Report& r) {
  const std::string levels = array_json(r.levels, "    ", [](const LevelPeak& level) {
    return "{\"isa\": " + json_quote(level.isa) + ", \"fp32_gflops\": " + number(level.fp32_gflops) +
           ", \"bf16_gflops\": " + number_or_null(level.bf16_gflops) + "}";
  });
  return "{\n    \"cpu\": " + json_quote(r.machine.cpu) + ", \"cores\": " + std::to_string(r.machine.cores) +
         ", \"memory_gib\": " + number(r.machine.memory_gib) + ", \"threads\": " + std::to_string(r.threads) +
         ",\n    \"device\": " + json_quote(r.device) + ", \"isa\": " + json_quote(r.isa) + ", \"model\": " + json_quote(r.model) +
         ",\n    \"levels\": " + levels + "\n  }";
}

}  // namespace

std::string report_text(const Report& r) {
  std::string text = machine_text(r);
  for (const PartRow& part : r.parts) text += part_text(r, part);
  text += shapes_text(r);
  return text + format("\npeak memory %.0f MiB\n", r.peak_rss_mib);
}

std::string report_json(const Report& r) {
  const std::string parts = array_json(r.parts, "  ", [&](const PartRow& part) {
    const double peak = r.peak(part.precision);
    return "{\"part\": " + json_quote(part.part) + ", \"precision\": " + json_quote(part.precision) + ", \"seconds\": " +
           number(part.seconds) + ", \"gflop\": " + number(part.flops * 1e-9) + ", \"gflops\": " + number(rate(part.flops, part.seconds)) +
           ", \"share_of_peak\": " + share_json(share(part.flops, part.seconds, peak), peak) +
           fastest_json(part.flops, part.fastest, peak) + (part.digest.empty() ? "" : ", \"digest\": " + json_quote(part.digest)) +
           ",\n     \"ops\": " +
           array_json(part.ops, "     ", [&](const OpRow& op) { return op_json(op, peak); }) + "}";
  });
  std::string text = "{\n  \"machine\": " + machine_json(r) + ",\n  \"peak\": {\"fp32_gflops\": " + number_or_null(r.fp32_gflops) +
                     ", \"bf16_gflops\": " + number_or_null(r.bf16_gflops) + ", \"copy_gbs\": " + number_or_null(r.copy_gbs) +
                     "},\n  \"parts\": " + parts;
  if (!r.shapes.empty()) {
    text += ",\n  \"op_shapes\": " + array_json(r.shapes, "  ", [&](const ShapeRow& row) {
      const double peak = r.peak(row.precision);
      std::string op = op_json(row.op, peak);
      op.pop_back();
      return "{\"part\": " + json_quote(row.part) + ", \"precision\": " + json_quote(row.precision) + ", " + op.substr(1) +
             ", \"share_of_roofline\": " + share_json(roofline_share(row.op, peak, r.copy_gbs), peak) + "}";
    });
  }
  return text + ",\n  \"peak_rss_mib\": " + number(r.peak_rss_mib) + "\n}\n";
}

}  // namespace sdgen::bench
