#pragma once
// A program with weights made in memory and operands filled in, ready to be timed again and again.
#include <memory>
#include <string>
#include <vector>

#include "backends/backend.h"

namespace sdgen::bench {

class Loaded {
 public:
  /// Makes and packs the weights. The program is run as it is given: graph passes of the backend were applied before.
  Loaded(Backend& backend, Program program);

  /// Runs it once; the seconds it took. `times` gets them by kind of op.
  double run(OpTimes* times);
  const Program& program() const noexcept { return program_; }
  uint64_t weight_bytes() const noexcept { return weight_bytes_; }

 private:
  void fill_inputs();

  Backend& backend_;
  Program program_;
  uint64_t weight_bytes_ = 0;
  std::unique_ptr<Executable> executable_;
  std::unique_ptr<Buffer> arena_;
  std::vector<std::unique_ptr<Buffer>> buffers_;
  std::vector<Binding> bindings_;
};

}  // namespace sdgen::bench
