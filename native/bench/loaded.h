#pragma once
// One op with weights made in memory and operands filled in, ready to be timed again and again.
#include <memory>
#include <vector>

#include "backends/backend.h"

namespace sdgen::bench {

class LoadedOp {
 public:
  /// Makes and packs the weights. The program is run as it is given: a backend's passes were applied before.
  LoadedOp(Backend& backend, Program program);

  /// Runs it that many times; the seconds they all took.
  double run(int times = 1);

 private:
  Backend& backend_;
  Program program_;
  std::unique_ptr<Executable> executable_;
  std::unique_ptr<Buffer> arena_;
  std::vector<std::unique_ptr<Buffer>> buffers_;
  std::vector<Binding> bindings_;
};

/// Ordinary values for an input, as it is stored: zeros would cost products and exponentials less than they do, and
/// tokens must exist.
std::vector<unsigned char> input_bytes(const Program& program, ValueId input);

}  // namespace sdgen::bench
