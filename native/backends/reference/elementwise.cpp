#include <algorithm>
#include <cmath>

#include "backends/host/clones.h"
#include "backends/reference/product.h"
#include "backends/reference/task.h"
#include "base/math.h"

namespace sdgen::reference {
namespace {

constexpr int64_t kGrain = 4096;
constexpr double kLn10000 = 0x1.26bb1bbb55516p+3;

/// value·gelu(gate) of one row: [2C] -> [C].
SDGEN_CLONES void geglu_row(const float* x, int64_t width, float* y) {
  for (int64_t c = 0; c < width; ++c) y[c] = x[c] * math::gelu_f32(x[width + c]);
}

}  // namespace

void run_op(const ActivationOp& op, const Task& task) {
  task.pool.parallel_for(task.out_shape().elements(), kGrain, [&](int64_t begin, int64_t end, int) {
    std::copy(task.in(0) + begin, task.in(0) + end, task.out() + begin);
    activate(op.kind, task.out() + begin, end - begin);
  });
}

void geglu(const float* x, int64_t rows, int64_t width, float* y, ThreadPool& pool) {
  pool.parallel_for(rows, 4, [&](int64_t begin, int64_t end, int) {
    for (int64_t row = begin; row < end; ++row) geglu_row(x + row * 2 * width, width, y + row * width);
  });
}

void run_op(const GegluOp&, const Task& task) {
  geglu(task.in(0), task.out_shape().rows(), task.out_shape().channels(), task.out(), task.pool);
}

void run_op(const AddOp&, const Task& task) {
  task.pool.parallel_for(task.out_shape().elements(), kGrain, [&](int64_t begin, int64_t end, int) {
    for (int64_t i = begin; i < end; ++i) task.out()[i] = task.in(0)[i] + task.in(1)[i];
  });
}

void run_op(const ScaleOp& op, const Task& task) {
  task.pool.parallel_for(task.out_shape().elements(), kGrain, [&](int64_t begin, int64_t end, int) {
    for (int64_t i = begin; i < end; ++i) task.out()[i] = task.in(0)[i] * op.factor;
  });
}

void run_op(const ConcatOp&, const Task& task) {
  const int64_t a = task.in_shape(0).channels(), b = task.in_shape(1).channels();
  task.pool.parallel_for(task.out_shape().rows(), 16, [&](int64_t begin, int64_t end, int) {
    for (int64_t row = begin; row < end; ++row) {
      float* y = std::copy(task.in(0) + row * a, task.in(0) + (row + 1) * a, task.out() + row * (a + b));
      std::copy(task.in(1) + row * b, task.in(1) + (row + 1) * b, y);
    }
  });
}

void run_op(const ResizeNearestOp& op, const Task& task) {
  const Shape& in = task.in_shape(0);
  const int64_t channels = in[3];
  task.pool.parallel_for(in[0] * op.height, 1, [&](int64_t begin, int64_t end, int) {
    for (int64_t row = begin; row < end; ++row) {
      const int64_t image = row / op.height, y = row % op.height * in[1] / op.height;
      const float* source = task.in(0) + (image * in[1] + y) * in[2] * channels;
      for (int64_t x = 0; x < op.width; ++x) {
        const float* pixel = source + x * in[2] / op.width * channels;
        std::copy(pixel, pixel + channels, task.out() + (row * op.width + x) * channels);
      }
    }
  });
}

void run_op(const StoreOp&, const Task& task) {
  // This backend stores every value in one way.
  std::copy_n(task.in(0), task.out_shape().elements(), task.out());
}

void run_op(const TokenEmbeddingOp& op, const Task& task) {
  const auto* ids = static_cast<const int32_t*>(task.inputs[0]);
  const int64_t tokens = task.in_shape(0)[1];
  for (int64_t row = 0; row < task.out_shape().rows(); ++row) {
    const float* token = task.weights[0] + ids[row] * op.width;
    const float* position = task.weights[1] + row % tokens * op.width;
    for (int64_t c = 0; c < op.width; ++c) task.out()[row * op.width + c] = token[c] + position[c];
  }
}

void run_op(const TimestepEmbeddingOp& op, const Task& task) {
  const int64_t half = op.dim / 2;
  for (int64_t n = 0; n < task.out_shape()[0]; ++n) {
    for (int64_t i = 0; i < half; ++i) {
      const auto f = static_cast<float>(math::exp_f64(-kLn10000 * static_cast<double>(i) / static_cast<double>(half)));
      const float argument = task.in(0)[n] * f;
      task.out()[n * op.dim + i] = static_cast<float>(math::cos_f64(argument));
      task.out()[n * op.dim + half + i] = static_cast<float>(math::sin_f64(argument));
    }
  }
}

}  // namespace sdgen::reference
