// How the other fp16 kernels are launched for the ops of a program.
#include <algorithm>
#include <cmath>

#include "backends/cuda/call.h"
#include "backends/cuda/fast/params.h"
#include "backends/cuda/fast/run.h"

namespace sdgen::cuda::fast {
namespace {

constexpr double kLog2E = 0x1.71547652b82fep+0;

int32_t narrow(int64_t value) { return static_cast<int32_t>(value); }

// ---- norms ----

GroupNormParams group_norm(const GroupNormOp& op, const Shape& x, DevicePointer scratch) {
  GroupNormParams p{};
  p.pixels = x.rows_per_image();
  p.images = narrow(x[0]);
  p.blocks = narrow(blocks_of(p.pixels, kPixelBlock));
  p.channels = narrow(x.channels());
  p.groups = narrow(op.groups);
  p.eps = static_cast<float>(op.eps);
  p.silu = op.silu;
  p.sums = reinterpret_cast<float*>(scratch);
  p.squares = p.sums + x[0] * p.blocks * p.channels;
  p.scale = p.squares + x[0] * p.blocks * p.channels;
  p.shift = p.scale + x[0] * p.channels;
  return p;
}
int64_t group_norm_scratch(const Shape& x) { return x[0] * x.channels() * (2 * blocks_of(x.rows_per_image(), kPixelBlock) + 2) * 4; }

void run_op(const GroupNormOp& op, const OpCall& call) {
  GroupNormParams p = group_norm(op, call.in_shape(0), call.scratch);
  p.x = call.in<Half>(0);
  p.gain = call.weight(0);
  p.bias = call.weight(1);
  p.y = call.out<Half>();
  call.launch(kGroupSums, {p.blocks, blocks_of(p.channels, kGroupSums.threads), p.images}, p);
  call.launch(kGroupScale, {p.groups, p.images}, p);
  call.launch_each(kGroupApply, p.images * p.pixels * p.channels, p);
}

void run_op(const LayerNormOp& op, const OpCall& call) {
  const Shape& x = call.in_shape(0);
  call.launch(kLayerNorm, {blocks_of(x.rows(), kLayerNormRows)},
              LayerNormParams{call.in<Half>(0), call.weight(0), call.weight(1), call.out<Half>(), x.rows(), narrow(x.channels()),
                              static_cast<float>(op.eps)});
}

// ---- attention ----

struct Slicing {
  const Kernel<AttentionParams>* kernel;
  int64_t values;
};
/// The slices of a head with the least work: each makes all scores (the padded head) and its own values.
Slicing slicing_for(int64_t size) {
  const Slicing choices[] = {{&kAttention48, 48}, {&kAttention64, 64}, {&kAttention80, 80}, {&kAttention128, 128}, {&kAttention160, 160}};
  const auto work = [&](const Slicing& s) {
    const int64_t slices = blocks_of(size, s.values);
    return slices * (slices + 1) * s.values;
  };
  return *std::min_element(std::begin(choices), std::end(choices), [&](const Slicing& a, const Slicing& b) { return work(a) < work(b); });
}

void run_op(const AttentionOp& op, const OpCall& call) {
  const Shape& q = call.in_shape(0);
  const int64_t size = q.channels() / op.heads, queries = q.rows_per_image(), keys = call.in_shape(1).rows_per_image();
  const AttentionParams p{call.in<Half>(0), call.in<Half>(1), call.in<Half>(2), call.out<Half>(), narrow(queries), narrow(keys),
                          narrow(op.heads), narrow(size), narrow(q.channels()),
                          static_cast<float>(kLog2E / std::sqrt(static_cast<double>(size))), op.causal};
  const Slicing slicing = slicing_for(size);
  call.launch(*slicing.kernel, {blocks_of(queries, kQueries), q[0] * op.heads, blocks_of(size, slicing.values)}, p);
}

// ---- element by element ----

ElementParams elements(const OpCall& call) {
  ElementParams p{};
  p.a = call.in<Half>(0);
  p.b = call.inputs.size() > 1 ? call.in<Half>(1) : nullptr;
  p.y = call.out<Half>();
  p.count = call.out_shape().elements();
  return p;
}

void run_op(const ActivationOp& op, const OpCall& call) {
  ElementParams p = elements(call);
  p.activation = op.kind;
  call.launch_each(kActivate, p.count, p);
}

void run_op(const AddOp&, const OpCall& call) { call.launch_each(kAdd, call.out_shape().elements(), elements(call)); }

void run_op(const ScaleOp& op, const OpCall& call) {
  ElementParams p = elements(call);
  p.factor = op.factor;
  call.launch_each(kScale, p.count, p);
}

void run_op(const GegluOp&, const OpCall& call) {
  const int64_t count = call.out_shape().elements();
  call.launch_each(kGeglu, count, ChannelParams{call.in<Half>(0), nullptr, call.out<Half>(), count, narrow(call.out_shape().channels()), 0});
}

void run_op(const ConcatOp&, const OpCall& call) {
  const int64_t count = call.out_shape().elements();
  call.launch_each(kConcat, count, ChannelParams{call.in<Half>(0), call.in<Half>(1), call.out<Half>(), count,
                                                 narrow(call.in_shape(0).channels()), narrow(call.in_shape(1).channels())});
}

void run_op(const ResizeNearestOp& op, const OpCall& call) {
  const Shape& in = call.in_shape(0);
  const int64_t count = call.out_shape().elements();
  call.launch_each(kResize, count, ResizeParams{call.in<Half>(0), call.out<Half>(), count, narrow(in[1]), narrow(in[2]), narrow(op.height),
                                                narrow(op.width), narrow(in[3])});
}

void run_op(const StoreOp&, const OpCall& call) {
  StoreParams p{};
  p.count = call.out_shape().elements();
  if (call.in_value(0).element == Element::kF16) {
    p.f16 = call.in<Half>(0);
  } else {
    p.f32 = call.in<float>(0);
  }
  if (call.out_value().element == Element::kF16) {
    p.y16 = call.out<Half>();
  } else {
    p.y32 = call.out<float>();
  }
  call.launch_each(kStore, p.count, p);
}

// Embeddings stay float32: the exact kernels make them.
void run_op(const TokenEmbeddingOp&, const OpCall& call) { exact::run_node(call); }
void run_op(const TimestepEmbeddingOp&, const OpCall& call) { exact::run_node(call); }

}  // namespace

int64_t scratch_bytes(const Program& program, const Node& node) {
  const Shape& x = program.value(node.inputs[0]).shape;
  if (const auto* linear = std::get_if<LinearOp>(&node.op)) return product_scratch(*linear, x);
  if (const auto* conv = std::get_if<Conv2dOp>(&node.op)) return product_scratch(*conv, x);
  return std::holds_alternative<GroupNormOp>(node.op) ? group_norm_scratch(x) : 0;
}

void run_node(const OpCall& call) {
  std::visit([&](const auto& op) { run_op(op, call); }, call.node.op);
}

}  // namespace sdgen::cuda::fast
