#pragma once
// The distinct ops of a program, each as a program of its own: what a kernel is tuned by.
#include <map>
#include <string>
#include <vector>

#include "graph/program.h"

namespace sdgen::bench {

struct OpShape {
  std::string text;   // "linear 8192x320 -> 320 bias residual"
  int64_t count = 1;  // how often the program has it
  Program program;    // this op alone
};

/// The program's ops by kind, operands' shapes and epilogue, in the order of their first appearance.
std::vector<OpShape> op_shapes(const Program& program);

/// One op from its description:
///   linear:M,K,N          conv2d:N,H,W,C,O[,kernel[,stride]]     attention:N,QUERIES,KEYS,HEADS,SIZE
///   group_norm:N,H,W,C    layer_norm:N,TOKENS,C                  geglu:N,TOKENS,C
/// Throws kInvalidArgument with the forms.
Program op_program(const std::string& description);

}  // namespace sdgen::bench
