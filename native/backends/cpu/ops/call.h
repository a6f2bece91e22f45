#pragma once
// One op of a program on the cpu backend: how its work is shared out among threads. The kernels do the rest.
#include "backends/cpu/kernels/table.h"
#include "backends/cpu/weight.h"
#include "backends/host/backend.h"

namespace sdgen::cpu {

struct OpCall {
  const host::NodeCall& call;
  const KernelTable& table;
  ThreadPool& pool;
  unsigned char* scratch;  // as much as scratch_bytes() said

  const Value& in_value(size_t i) const { return call.program.value(call.node.inputs[i]); }
  const Value& out_value() const { return call.program.value(call.node.output); }
  const Shape& in_shape(size_t i) const { return in_value(i).shape; }
  const Shape& out_shape() const { return out_value().shape; }
  template <typename T>
  const T* in(size_t i) const { return static_cast<const T*>(call.inputs[i]); }
  const CpuWeight& weight(size_t i) const { return *static_cast<const CpuWeight*>(call.weights[i]); }
  const StorageKernels& kernels(Element element) const { return kernels_for(table, element); }
  /// The kernels for the storage that all operands have.
  const StorageKernels& kernels() const { return kernels(out_value().element); }
};

/// The i-th element of memory that holds `element`s.
inline const void* at(const void* memory, Element element, int64_t i) {
  return static_cast<const unsigned char*>(memory) + i * element_bytes(element);
}
inline void* at(void* memory, Element element, int64_t i) {
  return static_cast<unsigned char*>(memory) + i * element_bytes(element);
}

/// Elements from a picture's start to pixel (0, 0), and from there to the next row, of the stored value.
struct PixelGrid {
  int64_t origin, row, image;
  explicit PixelGrid(const Value& value)
      : origin((value.halo.before * (value.shape[2] + value.halo.total()) + value.halo.before) * value.shape[3]),
        row((value.shape[2] + value.halo.total()) * value.shape[3]),
        image((value.shape[1] + value.halo.total()) * row) {}
};

/// Writes the zeros around picture `image` of a value.
void clear_halo(const Value& value, void* memory, int64_t image);

/// Bytes of scratch that a node needs with so many threads.
uint64_t scratch_bytes(const Program& program, const Node& node, const KernelTable& table, int threads);

void run_op(const LinearOp& op, const OpCall& call);
void run_op(const Conv2dOp& op, const OpCall& call);
void run_op(const GroupNormOp& op, const OpCall& call);
void run_op(const LayerNormOp& op, const OpCall& call);
void run_op(const AttentionOp& op, const OpCall& call);
void run_op(const ActivationOp& op, const OpCall& call);
void run_op(const GegluOp& op, const OpCall& call);
void run_op(const AddOp& op, const OpCall& call);
void run_op(const ScaleOp& op, const OpCall& call);
void run_op(const ConcatOp& op, const OpCall& call);
void run_op(const ResizeNearestOp& op, const OpCall& call);
void run_op(const TokenEmbeddingOp& op, const OpCall& call);
void run_op(const TimestepEmbeddingOp& op, const OpCall& call);
void run_op(const StoreOp& op, const OpCall& call);

// Scratch of the ops that need some.
uint64_t product_scratch(int threads);
uint64_t attention_scratch(const AttentionOp& op, const Program& program, const Node& node, const KernelTable& table, int threads);
uint64_t group_norm_scratch(const Program& program, const Node& node);

}  // namespace sdgen::cpu
