#pragma once
// Hoisting: what depends on a steady input alone is computed when that input changes, not in every run.
#include <string>
#include <vector>

#include "graph/program.h"

namespace sdgen {

/// One piece of a program. Values that a later piece reads are outputs of this one and inputs of that one, under one name.
struct Stage {
  Program program;
  std::string steady;  // the input whose change makes it run again; empty: it runs every time
};

/// Splits a program by its steady inputs (Value::steady): for each that feeds nodes of which it is the only source, a
/// stage with these nodes, in the order of the inputs; last, the rest. Nodes keep their order and operands, so every
/// value keeps its bits. Memory of each stage is planned. A program without steady inputs comes back as it is.
std::vector<Stage> split_stages(Program program);

/// What running all stages, one after the other, takes.
struct StageMemory {
  int64_t arena_bytes = 0, live_bytes = 0;  // the largest of a stage
  int64_t scratch_bytes = 0;                // of the backend, the largest of a stage
  int64_t bound_bytes = 0;                  // inputs, outputs and what stages hand on
  double flops = 0;                         // of all
};
StageMemory memory_of(const std::vector<Stage>& stages);

}  // namespace sdgen
