#include <algorithm>
#include <vector>

#include "backends/reference/product.h"
#include "backends/reference/task.h"

namespace sdgen::reference {

void run_op(const LinearOp& op, const Task& task) {
  const int64_t rows = task.in_shape(0).rows();
  if (op.geglu) {
    std::vector<float> wide(static_cast<size_t>(rows * op.out));
    LinearOp plain = op;
    plain.geglu = false;
    run_op(plain, {task.program, task.node, task.inputs, task.weights, wide.data(), task.pool});
    return geglu(wide.data(), rows, op.out / 2, task.out(), task.pool);
  }
  const int64_t row_blocks = (rows + kRowBlock - 1) / kRowBlock;
  const int64_t column_blocks = (op.out + kColumnBlock - 1) / kColumnBlock;
  const float* bias = op.bias ? task.weights[1] : nullptr;
  const float* residual = op.residual ? task.in(1) : nullptr;

  task.pool.parallel_for(row_blocks * column_blocks, 1, [&](int64_t begin, int64_t end, int) {
    std::vector<float> totals(static_cast<size_t>(kRowBlock * kColumnBlock));
    for (int64_t t = begin; t < end; ++t) {
      const int64_t row = t / column_blocks * kRowBlock, column = t % column_blocks * kColumnBlock;
      const int64_t row_count = std::min(kRowBlock, rows - row), column_end = std::min(op.out, column + kColumnBlock);
      const Stretch stretch{task.in(0) + row * op.in, op.in, row_count, op.in, 0};
      accumulate(stretch, {task.weights[0], op.in, op.out, column, column_end}, totals.data(), kColumnBlock, true);
      for (int64_t r = 0; r < row_count; ++r) {
        const Epilogue epilogue{bias, nullptr, op.activation, residual ? residual + (row + r) * op.out : nullptr};
        finish_row(totals.data() + r * kColumnBlock, epilogue, column, column_end, task.out() + (row + r) * op.out);
      }
    }
  });
}

}  // namespace sdgen::reference
