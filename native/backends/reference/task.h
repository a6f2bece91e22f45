#pragma once
// One op of a program with its operands resolved to memory; every kernel is an overload of run_op.
#include <span>

#include "base/thread_pool.h"
#include "graph/program.h"

namespace sdgen::reference {

struct Task {
  const Program& program;
  const Node& node;
  std::span<const void* const> inputs;      // as node.inputs
  std::span<const float* const> weights;    // packed, as node.weights
  void* output;
  ThreadPool& pool;

  const float* in(size_t i) const { return static_cast<const float*>(inputs[i]); }
  float* out() const { return static_cast<float*>(output); }
  const Shape& in_shape(size_t i) const { return program.value(node.inputs[i]).shape; }
  const Shape& out_shape() const { return program.value(node.output).shape; }
};

/// value·gelu(gate): rows of [2·width] -> [width].
void geglu(const float* x, int64_t rows, int64_t width, float* y, ThreadPool& pool);

void run_op(const LinearOp& op, const Task& task);
void run_op(const Conv2dOp& op, const Task& task);
void run_op(const GroupNormOp& op, const Task& task);
void run_op(const LayerNormOp& op, const Task& task);
void run_op(const AttentionOp& op, const Task& task);
void run_op(const ActivationOp& op, const Task& task);
void run_op(const GegluOp& op, const Task& task);
void run_op(const AddOp& op, const Task& task);
void run_op(const ScaleOp& op, const Task& task);
void run_op(const ConcatOp& op, const Task& task);
void run_op(const ResizeNearestOp& op, const Task& task);
void run_op(const TokenEmbeddingOp& op, const Task& task);
void run_op(const TimestepEmbeddingOp& op, const Task& task);
void run_op(const StoreOp& op, const Task& task);

}  // namespace sdgen::reference
