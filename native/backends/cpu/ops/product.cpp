// linear and conv2d: rows of output cut into tiles, tiles into blocks; columns into blocks of whole panels.
#include <algorithm>
#include <vector>

#include "backends/cpu/ops/call.h"
#include "backends/cpu/packing.h"

namespace sdgen::cpu {
namespace {

constexpr int64_t kBlockColumns = 576;
constexpr int64_t kNarrowColumns = 192;
constexpr int64_t kMostTiles = kMostBlockRows + 1;  // of at least one row
constexpr int64_t kBlockBytes = 1 << 20;           // of the left operand, which stay in the second-level cache

int64_t ceil_div(int64_t a, int64_t b) { return (a + b - 1) / b; }

/// About `blocks` column blocks of whole panels.
std::vector<int64_t> column_cuts(const Matrix& matrix, int64_t end, int64_t blocks, int lanes, int max_vectors) {
  std::vector<int64_t> cuts{0};
  const int64_t wanted = ceil_div(end, blocks);
  for (int64_t column = 0, half_end = std::min(matrix.half, end); column < end;) {
    if (column >= half_end) half_end = end;
    column += panel_vectors(padded(half_end - column, lanes) / lanes, max_vectors) * lanes;
    if (column >= end || column - cuts.back() + max_vectors * lanes > wanted + lanes) cuts.push_back(std::min(column, end));
  }
  return cuts;
}

/// What both ops share; `tile_at(i)` is tile i of `tiles`. row_bytes: of the left operand, what a row adds to those before it.
template <typename TileAt>
void run_product(const OpCall& call, ProductBlock block, int64_t tiles, int64_t rows, int64_t columns, int64_t row_bytes,
                 const TileAt& tile_at) {
  const Value& out = call.out_value();
  const StorageKernels& kernels = call.kernels(call.in_value(0).element);
  const auto kernel = out.element == call.in_value(0).element ? kernels.product : kernels.product_to_f32;
  // Where the weights are the larger part, a few columns' weights stay in the shared cache while all rows pass by.
  const bool by_columns = columns > rows;
  const int64_t threads = call.pool.size();
  const int64_t widest = (by_columns ? kNarrowColumns : kBlockColumns) / (block.geglu ? 2 : 1);
  const int64_t wanted = by_columns ? ceil_div(ceil_div(columns, widest), threads) * threads : ceil_div(columns, widest);
  const std::vector<int64_t> cuts = column_cuts(block.weight, columns, wanted, call.table.lanes, kernels.geometry.max_vectors);
  const auto column_blocks = static_cast<int64_t>(cuts.size()) - 1;

  // Blocks in a number that shares out evenly, unless they are many anyway.
  int64_t row_blocks = ceil_div(rows, std::clamp(kBlockBytes / row_bytes, kVectorBlockRows, kernels.geometry.block_rows));
  if (row_blocks * column_blocks % threads != 0 && row_blocks < 8 * threads) row_blocks = ceil_div(row_blocks, threads) * threads;
  row_blocks = std::min(row_blocks, tiles);

  call.pool.parallel_for(row_blocks * column_blocks, 1, [&](int64_t begin, int64_t end, int thread) {
    ProductBlock b = block;
    b.totals = reinterpret_cast<float*>(call.scratch + static_cast<uint64_t>(thread) * product_scratch(1));
    Tile list[kMostTiles];
    b.tiles = list;
    int64_t listed = -1;
    for (int64_t t = begin; t < end; ++t) {
      const int64_t row_block = by_columns ? t % row_blocks : t / column_blocks;
      const int64_t column_block = by_columns ? t / row_blocks : t % column_blocks;
      if (row_block != listed) {
        const int64_t first = tiles * row_block / row_blocks, last = tiles * (row_block + 1) / row_blocks;
        for (int64_t i = first; i < last; ++i) list[i - first] = tile_at(i);
        b.tile_count = last - first;
        listed = row_block;
      }
      b.begin = cuts[static_cast<size_t>(column_block)];
      b.end = cuts[static_cast<size_t>(column_block) + 1];
      kernel(b);
    }
  });
}

constexpr int64_t kNarrowRows = 16;  // of the output, a task

bool is_narrow(const Conv2dOp& op, const StorageKernels& kernels) {
  return kernels.narrow_pixels > 0 && op.out <= kMostNarrow && op.stride == 1 && op.activation == Activation::kNone && !op.residual &&
         !op.channel_add && kernels.narrow_scratch(op.kernel, op.in, op.out) <= static_cast<int64_t>(product_scratch(1));
}

void run_narrow(const Conv2dOp& op, const OpCall& call, const PixelGrid& grid, int64_t origin) {
  const Shape& out = call.out_shape();
  const Element from = call.in_value(0).element, to = call.out_value().element;
  const StorageKernels& kernels = call.kernels(from);
  const auto kernel = from == to ? kernels.narrow : kernels.narrow_to_f32;
  const int64_t strips = ceil_div(out[2], kernels.narrow_pixels), bands = ceil_div(out[1], kNarrowRows);
  call.pool.parallel_for(out[0] * strips * bands, 1, [&](int64_t begin, int64_t end, int thread) {
    for (int64_t t = begin; t < end; ++t) {
      const int64_t x = t % strips * kernels.narrow_pixels, y = t / strips % bands * kNarrowRows, image = t / (strips * bands);
      kernel({.a = at(call.call.inputs[0], from, origin + image * grid.image + y * grid.row + x * op.in), .row_stride = grid.row,
              .channels = op.in, .kernel = op.kernel, .outputs = op.out, .rows = std::min(kNarrowRows, out[1] - y),
              .pixels = std::min(kernels.narrow_pixels, out[2] - x), .weight = call.weight(0).matrix, .bias = call.weight(1).floats(),
              .out = at(call.call.output, to, ((image * out[1] + y) * out[2] + x) * op.out), .out_stride = out[2] * op.out,
              .scratch = call.scratch + static_cast<uint64_t>(thread) * product_scratch(1)});
    }
  });
}

}  // namespace

uint64_t product_scratch(int threads) {
  // Blocks are rounded up to whole tiles and panels. Vectors' need the most: they keep a whole block's totals.
  constexpr uint64_t kEach = (kVectorBlockRows + 16) * (kBlockColumns + 64) * sizeof(float);
  return kEach * static_cast<uint64_t>(threads);
}

void run_op(const LinearOp& op, const OpCall& call) {
  const int64_t rows = call.in_shape(0).rows(), tiles = ceil_div(rows, call.kernels(call.in_value(0).element).geometry.max_rows);
  const int64_t columns = op.geglu ? op.out / 2 : op.out;
  const float* bias = op.bias ? call.weight(1).floats() : nullptr;
  const ProductBlock block{.a = call.call.inputs[0], .row_stride = op.in, .stretch_stride = 0, .tiles = nullptr, .tile_count = 0,
                           .weight = call.weight(0).matrix, .begin = 0, .end = 0, .geglu = op.geglu, .totals = nullptr, .bias = bias,
                           .activation = op.activation, .residual = op.residual ? call.call.inputs[1] : nullptr,
                           .out = call.call.output, .out_stride = columns};
  run_product(call, block, tiles, rows, columns, op.in * element_bytes(call.in_value(0).element), [&](int64_t i) {
    const int64_t row = rows * i / tiles;
    return Tile{row * op.in, row, static_cast<int32_t>(rows * (i + 1) / tiles - row), nullptr};
  });
}

void run_op(const Conv2dOp& op, const OpCall& call) {
  const Shape& out = call.out_shape();
  const PixelGrid grid(call.in_value(0));
  const int64_t width = out[2], tiles_a_row = ceil_div(width, call.kernels(call.in_value(0).element).geometry.max_rows), tiles = out[0] * out[1] * tiles_a_row;
  // From pixel (0, 0) to the first tap of output (0, 0), in the halo.
  const int64_t origin = grid.origin - op.pad_before * (grid.row + op.in);
  if (is_narrow(op, call.kernels(call.in_value(0).element))) return run_narrow(op, call, grid, origin);
  const auto* channel_add = op.channel_add ? call.in<float>(1) : nullptr;
  const ProductBlock block{.a = call.call.inputs[0], .row_stride = op.stride * op.in, .stretch_stride = grid.row, .tiles = nullptr,
                           .tile_count = 0, .weight = call.weight(0).matrix, .begin = 0, .end = 0, .geglu = false, .totals = nullptr,
                           .bias = call.weight(1).floats(), .activation = op.activation,
                           .residual = op.residual ? call.call.inputs[op.channel_add ? 2 : 1] : nullptr,
                           .out = call.call.output, .out_stride = op.out};
  run_product(call, block, tiles, out.rows(), op.out, op.stride * op.in * element_bytes(call.in_value(0).element), [&](int64_t i) {
    const int64_t part = i % tiles_a_row, line = i / tiles_a_row, y = line % out[1], image = line / out[1];
    const int64_t x = width * part / tiles_a_row, next = width * (part + 1) / tiles_a_row;
    return Tile{origin + image * grid.image + y * op.stride * grid.row + x * op.stride * op.in, line * width + x,
                static_cast<int32_t>(next - x), channel_add != nullptr ? channel_add + image * op.out : nullptr};
  });
}

}  // namespace sdgen::cpu
