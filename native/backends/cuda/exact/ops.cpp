// How the fp32 kernels are launched for the ops of a program.
#include <algorithm>
#include <cmath>

#include "backends/cuda/call.h"
#include "backends/cuda/exact/params.h"
#include "base/error.h"

namespace sdgen::cuda::exact {
namespace {

constexpr double kLog2E = 0x1.71547652b82fep+0;

int32_t narrow(int64_t value) { return static_cast<int32_t>(value); }

// ---- products ----

/// The largest tile that still gives every multiprocessor a block. The choice changes no bit.
void launch_product(const OpCall& call, const ProductParams& p) {
  const int64_t large = blocks_of(p.rows, 128) * blocks_of(p.n, 128);
  if (large >= call.device.card().multiprocessors) {
    call.launch(kProduct128, {blocks_of(p.rows, 128), blocks_of(p.n, 128)}, p);
  } else {
    call.launch(kProduct64, {blocks_of(p.rows, 64), blocks_of(p.n, 64)}, p);
  }
}

int32_t stored_outputs(int64_t n) { return narrow((n + 3) / 4 * 4); }

void run_op(const LinearOp& op, const OpCall& call) {
  const int64_t rows = call.in_shape(0).rows();
  if (op.geglu) throw Error(ErrorCode::kInternal, "the exact kernels know no fused geglu");
  size_t input = 1;
  ProductParams p{};
  p.x = call.in<float>(0);
  p.weight = call.weight(0);
  p.bias = op.bias ? call.weight(1) : nullptr;
  p.residual = call.optional<float>(input, op.residual);
  p.y = call.out<float>();
  p.rows = rows;
  p.n = narrow(op.out);
  p.stored = stored_outputs(op.out);
  p.channels = narrow(op.in);
  p.kernel = p.stride = p.in_h = p.out_h = 1;
  p.in_w = p.out_w = narrow(rows);
  p.activation = op.activation;
  launch_product(call, p);
}

void run_op(const Conv2dOp& op, const OpCall& call) {
  const Shape& in = call.in_shape(0);
  const Shape& out = call.out_shape();
  size_t input = 1;
  ProductParams p{};
  p.x = call.in<float>(0);
  p.weight = call.weight(0);
  p.bias = call.weight(1);
  p.channel_add = call.optional<float>(input, op.channel_add);
  p.residual = call.optional<float>(input, op.residual);
  p.y = call.out<float>();
  p.rows = out.rows();
  p.n = narrow(op.out);
  p.stored = stored_outputs(op.out);
  p.channels = narrow(op.in);
  p.kernel = narrow(op.kernel);
  p.stride = narrow(op.stride);
  p.pad = narrow(op.pad_before);
  p.in_h = narrow(in[1]);
  p.in_w = narrow(in[2]);
  p.out_h = narrow(out[1]);
  p.out_w = narrow(out[2]);
  p.activation = op.activation;
  launch_product(call, p);
}

// ---- norms ----

/// Memory of a group norm, one part after the other.
struct NormScratch {
  int64_t images, pixels, channels, blocks, groups;
  NormScratch(const GroupNormOp& op, const Shape& x)
      : images(x[0]), pixels(x.rows_per_image()), channels(x.channels()), blocks(blocks_of(pixels, kPixelBlock)), groups(op.groups) {}
  int64_t floats() const { return images * (blocks * channels + 3 * channels + groups); }
  float* sums(DevicePointer base) const { return reinterpret_cast<float*>(base); }
  float* totals(DevicePointer base) const { return sums(base) + images * blocks * channels; }
  float* scale(DevicePointer base) const { return totals(base) + images * channels; }
  float* shift(DevicePointer base) const { return scale(base) + images * channels; }
  float* means(DevicePointer base) const { return shift(base) + images * channels; }
};

void run_op(const GroupNormOp& op, const OpCall& call) {
  const NormScratch s(op, call.in_shape(0));
  const DevicePointer base = call.scratch;
  BlockSumsParams sums{call.in<float>(0), nullptr, s.sums(base), s.pixels, narrow(s.channels), narrow(op.groups)};
  GroupTotalsParams totals{};
  totals.sums = s.sums(base);
  totals.totals = s.totals(base);
  totals.means = s.means(base);
  totals.scale = s.scale(base);
  totals.shift = s.shift(base);
  totals.blocks = narrow(s.blocks);
  totals.channels = narrow(s.channels);
  totals.groups = narrow(op.groups);
  totals.count = static_cast<float>(s.pixels * (s.channels / op.groups));
  totals.eps = static_cast<float>(op.eps);
  const Grid each_block{s.blocks, blocks_of(s.channels, kBlockSums.threads), s.images}, each_group{op.groups, s.images};
  call.launch(kBlockSums, each_block, sums);
  call.launch(kGroupTotals, each_group, totals);
  sums.means = s.means(base);
  call.launch(kBlockSums, each_block, sums);
  totals.gain = call.weight(0);
  totals.bias = call.weight(1);
  call.launch(kGroupTotals, each_group, totals);
  const int64_t per_image = s.pixels * s.channels;
  call.launch_each(kScaleShift, s.images * per_image,
                   ScaleShiftParams{call.in<float>(0), s.scale(base), s.shift(base), call.out<float>(), s.images * per_image, per_image,
                                    narrow(s.channels), op.silu});
}

void run_op(const LayerNormOp& op, const OpCall& call) {
  const Shape& x = call.in_shape(0);
  call.launch(kLayerNorm, {blocks_of(x.rows(), kLayerNormRows)},
              LayerNormParams{call.in<float>(0), call.weight(0), call.weight(1), call.out<float>(), x.rows(), narrow(x.channels()),
                              static_cast<float>(op.eps)});
}

// ---- attention ----

struct Slicing {
  const Kernel<AttentionParams>* kernel;
  int64_t values;
};
/// The slice of a head with the least work: a slice makes the scores again (size) and pads the head (values).
Slicing slicing_for(int64_t size) {
  const Slicing choices[] = {{&kAttention48, 48}, {&kAttention64, 64}, {&kAttention80, 80}};
  const auto work = [&](const Slicing& s) { return blocks_of(size, s.values) * (size + s.values); };
  return *std::min_element(std::begin(choices), std::end(choices), [&](const Slicing& a, const Slicing& b) { return work(a) < work(b); });
}

void run_op(const AttentionOp& op, const OpCall& call) {
  const Shape& q = call.in_shape(0);
  const int64_t size = q.channels() / op.heads, queries = q.rows_per_image(), keys = call.in_shape(1).rows_per_image();
  const AttentionParams p{call.in<float>(0), call.in<float>(1), call.in<float>(2), call.out<float>(), narrow(queries), narrow(keys),
                          narrow(op.heads), narrow(size), narrow(q.channels()),
                          static_cast<float>(kLog2E / std::sqrt(static_cast<double>(size))), op.causal};
  const Slicing slicing = slicing_for(size);
  call.launch(*slicing.kernel, {blocks_of(queries, kQueries), q[0] * op.heads, blocks_of(size, slicing.values)}, p);
}

// ---- element by element ----

ElementParams elements(const OpCall& call) {
  ElementParams p{};
  p.a = call.in<float>(0);
  p.b = call.inputs.size() > 1 ? call.in<float>(1) : nullptr;
  p.y = call.out<float>();
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
  call.launch_each(kGeglu, count, ChannelParams{call.in<float>(0), nullptr, call.out<float>(), count, narrow(call.out_shape().channels()), 0});
}

void run_op(const ConcatOp&, const OpCall& call) {
  const int64_t count = call.out_shape().elements();
  call.launch_each(kConcat, count,
                   ChannelParams{call.in<float>(0), call.in<float>(1), call.out<float>(), count, narrow(call.in_shape(0).channels()),
                                 narrow(call.in_shape(1).channels())});
}

void run_op(const ResizeNearestOp& op, const OpCall& call) {
  const Shape& in = call.in_shape(0);
  const int64_t count = call.out_shape().elements();
  call.launch_each(kResize, count, ResizeParams{call.in<float>(0), call.out<float>(), count, narrow(in[1]), narrow(in[2]), narrow(op.height),
                                                narrow(op.width), narrow(in[3])});
}

void run_op(const TokenEmbeddingOp& op, const OpCall& call) {
  const int64_t count = call.out_shape().elements();
  call.launch_each(kTokens, count, TokenParams{call.in<int32_t>(0), call.weight(0), call.weight(1), call.out<float>(), count,
                                               narrow(call.in_shape(0)[1]), narrow(op.width)});
}

void run_op(const TimestepEmbeddingOp& op, const OpCall& call) {
  const int64_t half = op.dim / 2, count = call.out_shape()[0] * half;
  call.launch_each(kTimestep, count, TimestepParams{call.in<float>(0), call.out<float>(), count, narrow(half)});
}

void run_op(const StoreOp&, const OpCall&) { throw Error(ErrorCode::kInternal, "the exact kernels store every value in one way"); }

}  // namespace

int64_t scratch_bytes(const Program& program, const Node& node) {
  const auto* op = std::get_if<GroupNormOp>(&node.op);
  return op == nullptr ? 0 : NormScratch(*op, program.value(node.inputs[0]).shape).floats() * 4;
}

void run_node(const OpCall& call) {
  std::visit([&](const auto& op) { run_op(op, call); }, call.node.op);
}

}  // namespace sdgen::cuda::exact
