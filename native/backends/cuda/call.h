#pragma once
// One node of a program with its operands resolved to device memory; every op is an overload of run_op, exact or fast.
#include <span>

#include "backends/cuda/device.h"
#include "graph/program.h"

namespace sdgen::cuda {

struct OpCall {
  const Program& program;
  const Node& node;
  std::span<const DevicePointer> inputs;   // as node.inputs
  std::span<const DevicePointer> weights;  // packed, as node.weights
  DevicePointer output;
  DevicePointer scratch;  // at least scratch_bytes() of the node
  Device& device;

  template <typename T>
  const T* in(size_t i) const { return reinterpret_cast<const T*>(inputs[i]); }
  /// Operands come one after the other; those that the op does not have are null.
  template <typename T>
  const T* optional(size_t& i, bool given) const { return given ? in<T>(i++) : nullptr; }
  template <typename T = float>
  const T* weight(size_t i) const { return i < weights.size() ? reinterpret_cast<const T*>(weights[i]) : nullptr; }
  template <typename T>
  T* out() const { return reinterpret_cast<T*>(output); }
  const Value& in_value(size_t i) const { return program.value(node.inputs[i]); }
  const Shape& in_shape(size_t i) const { return in_value(i).shape; }
  const Value& out_value() const { return program.value(node.output); }
  const Shape& out_shape() const { return out_value().shape; }

  template <typename P>
  void launch(const Kernel<P>& kernel, const Grid& grid, const P& params) const {
    device.launch(kernel, grid, params);
  }
  /// A thread for each of `count` elements.
  template <typename P>
  void launch_each(const Kernel<P>& kernel, int64_t count, const P& params) const {
    device.launch(kernel, {(count + kernel.threads - 1) / kernel.threads}, params);
  }
};

inline int64_t blocks_of(int64_t count, int64_t size) { return (count + size - 1) / size; }

namespace exact {

/// Device memory that the node needs while it runs.
int64_t scratch_bytes(const Program& program, const Node& node);
/// In the contract's order, on float32.
void run_node(const OpCall& call);

}  // namespace exact
namespace fast {

/// As above, of the fp16 kernels: on halves, but for the values that the program keeps in float32.
int64_t scratch_bytes(const Program& program, const Node& node);
void run_node(const OpCall& call);

}  // namespace fast
}  // namespace sdgen::cuda
