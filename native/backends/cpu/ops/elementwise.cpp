#include <cmath>

#include "backends/cpu/ops/call.h"
#include "backends/reference/task.h"

namespace sdgen::cpu {
namespace {

constexpr int64_t kGrain = 4096;

/// each(offset, count) over all elements of the output.
template <typename Each>
void each_stretch(const OpCall& call, const Each& each) {
  call.pool.parallel_for(call.out_shape().elements(), kGrain, [&](int64_t begin, int64_t end, int) { each(begin, end - begin); });
}

/// Small, and the same on every host: the contract's loop.
template <typename Op>
void run_reference(const Op& op, const OpCall& call) {
  std::vector<const float*> weights;
  for (size_t i = 0; i < call.call.weights.size(); ++i) weights.push_back(call.weight(i).floats());
  reference::run_op(op, {call.call.program, call.call.node, call.call.inputs, weights, call.call.output, call.pool});
}

}  // namespace

void run_op(const ActivationOp& op, const OpCall& call) {
  const Element e = call.out_value().element;
  each_stretch(call, [&](int64_t i, int64_t n) { call.kernels().activate(op.kind, at(call.call.inputs[0], e, i), n, at(call.call.output, e, i)); });
}

void run_op(const GegluOp&, const OpCall& call) {
  const Element e = call.out_value().element;
  const int64_t width = call.out_shape().channels();
  call.pool.parallel_for(call.out_shape().rows(), 1, [&](int64_t begin, int64_t end, int) {
    call.kernels().geglu({at(call.call.inputs[0], e, begin * 2 * width), end - begin, width}, at(call.call.output, e, begin * width));
  });
}

void run_op(const AddOp&, const OpCall& call) {
  const Element e = call.out_value().element;
  each_stretch(call, [&](int64_t i, int64_t n) {
    call.kernels().add(at(call.call.inputs[0], e, i), at(call.call.inputs[1], e, i), n, at(call.call.output, e, i));
  });
}

void run_op(const ScaleOp& op, const OpCall& call) {
  const Element e = call.out_value().element;
  each_stretch(call, [&](int64_t i, int64_t n) { call.kernels().scale(at(call.call.inputs[0], e, i), op.factor, n, at(call.call.output, e, i)); });
}

void run_op(const TokenEmbeddingOp& op, const OpCall& call) { run_reference(op, call); }
void run_op(const TimestepEmbeddingOp& op, const OpCall& call) { run_reference(op, call); }

}  // namespace sdgen::cpu
