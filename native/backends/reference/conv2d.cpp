#include <algorithm>
#include <vector>

#include "backends/reference/product.h"
#include "backends/reference/task.h"

namespace sdgen::reference {
namespace {

/// Copies, for `count` output pixels from `first` on, the kernel's row `kh` of the input: [count][kernel * C], +0 outside.
void gather_rows(const Conv2dOp& op, const Task& task, int64_t first, int64_t count, int64_t kh, float* rows) {
  const Shape& in = task.in_shape(0);
  const Shape& out = task.out_shape();
  const int64_t channels = in[3], length = op.kernel * channels;
  for (int64_t i = 0; i < count; ++i) {
    const int64_t pixel = first + i;
    const int64_t ox = pixel % out[2], oy = pixel / out[2] % out[1], image = pixel / (out[1] * out[2]);
    const int64_t y = oy * op.stride + kh - op.pad_before;
    float* row = rows + i * length;
    for (int64_t kw = 0; kw < op.kernel; ++kw, row += channels) {
      const int64_t x = ox * op.stride + kw - op.pad_before;
      if (y < 0 || y >= in[1] || x < 0 || x >= in[2]) {
        std::fill(row, row + channels, 0.0f);
      } else {
        const float* source = task.in(0) + ((image * in[1] + y) * in[2] + x) * channels;
        std::copy(source, source + channels, row);
      }
    }
  }
}

}  // namespace

void run_op(const Conv2dOp& op, const Task& task) {
  const Shape& out = task.out_shape();
  const int64_t pixels = out.rows(), per_image = out[1] * out[2], length = op.kernel * op.in;
  const int64_t row_blocks = (pixels + kRowBlock - 1) / kRowBlock;
  const int64_t column_blocks = (op.out + kColumnBlock - 1) / kColumnBlock;
  const float* channel_add = op.channel_add ? task.in(1) : nullptr;
  const float* residual = op.residual ? task.in(op.channel_add ? 2 : 1) : nullptr;

  task.pool.parallel_for(row_blocks * column_blocks, 1, [&](int64_t begin, int64_t end, int) {
    std::vector<float> totals(static_cast<size_t>(kRowBlock * kColumnBlock)), rows(static_cast<size_t>(kRowBlock * length));
    for (int64_t t = begin; t < end; ++t) {
      const int64_t first = t / column_blocks * kRowBlock, column = t % column_blocks * kColumnBlock;
      const int64_t count = std::min(kRowBlock, pixels - first), column_end = std::min(op.out, column + kColumnBlock);
      const Columns columns{task.weights[0], op.kernel * length, op.out, column, column_end};
      for (int64_t kh = 0; kh < op.kernel; ++kh) {
        gather_rows(op, task, first, count, kh, rows.data());
        accumulate({rows.data(), length, count, length, kh * length}, columns, totals.data(), kColumnBlock, kh == 0);
      }
      for (int64_t r = 0; r < count; ++r) {
        const int64_t pixel = first + r;
        const Epilogue epilogue{task.weights[1], channel_add ? channel_add + pixel / per_image * op.out : nullptr, op.activation,
                                residual ? residual + pixel * op.out : nullptr};
        finish_row(totals.data() + r * kColumnBlock, epilogue, column, column_end, task.out() + pixel * op.out);
      }
    }
  });
}

}  // namespace sdgen::reference
