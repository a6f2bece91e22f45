// How the fp16 products are launched for linear and conv2d.
#include "backends/cuda/call.h"
#include "backends/cuda/fast/run.h"
#include "backends/cuda/fast/tiles.h"
#include "backends/cuda/weight.h"

namespace sdgen::cuda::fast {
namespace {

int32_t narrow(int64_t value) { return static_cast<int32_t>(value); }

/// What decides the work: of a linear, pixels are rows and the kernel is 1×1.
struct Work {
  int64_t rows, rows_per_image, n, stored_k;
  const TileChoice& tile;
  int64_t splits;
  Work(int64_t rows_, int64_t images, int64_t n_, int64_t channels, int64_t taps)
      : rows(rows_), rows_per_image(rows_ / std::max<int64_t>(images, 1)), n(n_), stored_k(half_row(channels, taps)),
        tile(tile_for(rows_per_image, n)), splits(splits_for(tile, rows_per_image, n, stored_k / kStep)) {}
  int64_t partial_bytes() const { return splits > 1 ? splits * rows * n * 4 : 0; }
};

Work work_of(const LinearOp& op, const Shape& x) { return {x.rows(), x[0], op.out, op.in, 1}; }
Work work_of(const Conv2dOp& op, const Shape& x) { return {infer(op, x).rows(), x[0], op.out, op.in, op.kernel * op.kernel}; }

void launch_product(const OpCall& call, const Work& work, ProductParams p) {
  p.rows = work.rows;
  p.n = narrow(work.n);
  p.columns = p.geglu ? p.n / 2 : p.n;
  p.stored_channels = narrow((p.channels + 7) / 8 * 8);
  p.stored_k = narrow(work.stored_k);
  if (call.out_value().element == Element::kF16) {
    p.y = call.out<Half>();
  } else {
    p.y32 = call.out<float>();
  }
  const int64_t steps = work.stored_k / kStep;
  p.splits = narrow(work.splits);
  p.steps_per_split = narrow(blocks_of(steps, work.splits));
  p.splits = narrow(blocks_of(steps, p.steps_per_split));  // none without work
  if (p.splits > 1) p.partial = reinterpret_cast<float*>(call.scratch);
  // With geglu a tile's columns are half values and half gates of them.
  const int64_t columns = p.geglu ? blocks_of(p.columns, work.tile.columns / 2) : blocks_of(p.n, work.tile.columns);
  call.launch(*work.tile.kernel, {blocks_of(p.rows, work.tile.rows), columns, p.splits}, p);
  if (p.splits > 1) call.launch_each(kFinishProduct, p.rows * p.columns, p);
}

}  // namespace

int64_t product_scratch(const LinearOp& op, const Shape& x) { return work_of(op, x).partial_bytes(); }
int64_t product_scratch(const Conv2dOp& op, const Shape& x) { return work_of(op, x).partial_bytes(); }

void run_op(const LinearOp& op, const OpCall& call) {
  size_t input = 1;
  ProductParams p{};
  p.x = call.in<Half>(0);
  p.weight = call.weight<Half>(0);
  p.bias = op.bias ? call.weight(1) : nullptr;
  p.residual = call.optional<Half>(input, op.residual);
  p.channels = narrow(op.in);
  p.kernel = p.stride = p.in_h = p.out_h = 1;
  p.in_w = p.out_w = narrow(call.in_shape(0).rows());
  p.activation = op.activation;
  p.geglu = op.geglu;
  launch_product(call, work_of(op, call.in_shape(0)), p);
}

void run_op(const Conv2dOp& op, const OpCall& call) {
  const Shape& in = call.in_shape(0);
  const Shape& out = call.out_shape();
  size_t input = 1;
  ProductParams p{};
  p.x = call.in<Half>(0);
  p.weight = call.weight<Half>(0);
  p.bias = call.weight(1);
  p.channel_add = call.optional<float>(input, op.channel_add);
  p.residual = call.optional<Half>(input, op.residual);
  p.channels = narrow(op.in);
  p.kernel = narrow(op.kernel);
  p.stride = narrow(op.stride);
  p.pad = narrow(op.pad_before);
  p.in_h = narrow(in[1]);
  p.in_w = narrow(in[2]);
  p.out_h = narrow(out[1]);
  p.out_w = narrow(out[2]);
  p.activation = op.activation;
  launch_product(call, work_of(op, in), p);
}

}  // namespace sdgen::cuda::fast
