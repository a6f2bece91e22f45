#pragma once
// One evaluation on two devices, op by op: which op's output differs first.
#include "tools/parts.h"

namespace sdgen::tools {

struct CompareOptions {
  OpenOptions open;                        // of the first device, the yardstick
  std::string device = "cpu", precision = "fp32";  // of the second
  std::string part = "unet";               // of a model: text, unet, vae-decode, vae-encode
  std::string inputs = {};                 // a file; empty: made ones, of a small size
  double tolerance = -1;                   // of the error; negative: by precision
  const std::atomic<bool>* cancel = nullptr;
};

/// An op of the second device's program. Its inputs were the first device's values, so its error is its own.
struct ComparedOp {
  int64_t index = 0;  // in the second device's program
  std::string op, weight;  // kind; the first weight it reads, or empty
  Shape shape;
  bool same_bytes = false;
  double error = 0;   // max|a - b| / max|a|; infinite for a value that is not finite
  bool differs = false;
};

struct Comparison {
  std::string title;     // "unet, reference fp32 against cpu bf16"
  double tolerance = 0;  // 0: bytes
  std::vector<ComparedOp> ops;
  int64_t not_compared = 0;  // what the first device has no counterpart of: copies and fused steps
};

/// The same on models that are open already; without a title.
Comparison compare_models(OpenModel& first, OpenModel& second, PartRun run, double tolerance, const std::atomic<bool>* cancel);
/// Keeps every value of the first device in memory. Throws kInvalidArgument, kDevice and what opening a model may.
Comparison compare_devices(const CompareOptions& options);
/// For people: the first op that differs, how many do, the largest error.
std::string comparison_text(const Comparison& comparison);
bool differs(const Comparison& comparison);

}  // namespace sdgen::tools
