#include "backends/cuda/weight.h"

#include <algorithm>
#include <span>
#include <vector>

#include "base/half.h"

namespace sdgen::cuda {
namespace {

constexpr int64_t kPieceElements = 1 << 20;  // 4 MiB of float32 between file and packed weight, a thread
constexpr int64_t kOutputs = 16;             // packed side by side: a line of float32

bool is_matrix(const WeightUse& use) { return use.layout == WeightLayout::kLinear || use.layout == WeightLayout::kConv; }

/// A file's row of [outputs, k] is ordered (c, kh, kw), a packed k (kh, kw, c).
struct Matrix {
  int64_t outputs, channels, area = 1;
  explicit Matrix(const WeightUse& use) : outputs(use.shape[0]), channels(use.shape[1]) {
    if (use.layout == WeightLayout::kConv) area = use.shape[2] * use.shape[3];
  }
  int64_t k() const { return channels * area; }
  int64_t stored() const { return (outputs + 3) / 4 * 4; }
};

int64_t elements(const WeightUse& use) {
  int64_t n = 1;
  for (const int64_t d : use.shape) n *= d;
  return n;
}

/// Calls pack(first output, outputs, their values in file order) on the pool's threads, each reading and converting its own.
template <typename Pack>
void each_outputs(const Matrix& m, const WeightStore& store, const TensorInfo& tensor, ThreadPool& pool, const Pack& pack) {
  const int64_t k = m.k(), some = std::clamp<int64_t>(kPieceElements / k, 1, kOutputs);
  pool.parallel_for((m.outputs + some - 1) / some, 1, [&](int64_t begin, int64_t end, int) {
    std::vector<float> values(static_cast<size_t>(some * k));
    for (int64_t first = begin * some; first < std::min(end * some, m.outputs); first += some) {
      const int64_t count = std::min(some, m.outputs - first);
      store.read_f32_range(tensor, first * k, std::span(values).first(static_cast<size_t>(count * k)));
      pack(first, count, values.data());
    }
  });
}

/// [k][stored]: neighbouring threads read neighbouring outputs.
std::vector<float> transposed(const Matrix& m, const WeightStore& store, const TensorInfo& tensor, ThreadPool& pool) {
  std::vector<float> packed(static_cast<size_t>(m.k() * m.stored()), 0.0f);
  each_outputs(m, store, tensor, pool, [&](int64_t first, int64_t count, const float* values) {
    for (int64_t tap = 0; tap < m.area; ++tap) {
      for (int64_t c = 0; c < m.channels; ++c) {
        float* to = packed.data() + (tap * m.channels + c) * m.stored() + first;
        const float* from = values + c * m.area + tap;
        for (int64_t n = 0; n < count; ++n) to[n] = from[n * m.k()];
      }
    }
  });
  return packed;
}

/// [outputs][half_row]: a row of the product's other side, as tensor cores take it.
std::vector<uint16_t> halves(const Matrix& m, const WeightStore& store, const TensorInfo& tensor, ThreadPool& pool) {
  const int64_t row = half_row(m.channels, m.area), filled = (m.channels + 7) / 8 * 8;
  std::vector<uint16_t> packed(static_cast<size_t>(m.outputs * row), 0);
  each_outputs(m, store, tensor, pool, [&](int64_t first, int64_t count, const float* values) {
    for (int64_t n = 0; n < count; ++n) {
      for (int64_t tap = 0; tap < m.area; ++tap) {
        uint16_t* to = packed.data() + (first + n) * row + tap * filled;
        const float* from = values + n * m.k() + tap;
        for (int64_t c = 0; c < m.channels; ++c) to[c] = f32_to_f16(from[c * m.area]);
      }
    }
  });
  return packed;
}

}  // namespace

uint64_t packed_bytes(const WeightUse& use, Element element) {
  if (!is_matrix(use)) return static_cast<uint64_t>(elements(use)) * 4;
  const Matrix m(use);
  if (element == Element::kF16) return static_cast<uint64_t>(m.outputs * half_row(m.channels, m.area)) * 2;
  return static_cast<uint64_t>(m.k() * m.stored()) * 4;
}

std::shared_ptr<const PackedWeight> pack(const WeightUse& use, const WeightStore& store, const TensorInfo& tensor, Element element,
                                         const std::shared_ptr<Device>& device, ThreadPool& pool) {
  auto weight = std::make_shared<CudaWeight>(device, packed_bytes(use, element));
  if (is_matrix(use) && element == Element::kF16) {
    const std::vector<uint16_t> packed = halves(Matrix(use), store, tensor, pool);
    device->upload(weight->address(), packed.data(), packed.size() * 2);
  } else if (is_matrix(use)) {
    const std::vector<float> packed = transposed(Matrix(use), store, tensor, pool);
    device->upload(weight->address(), packed.data(), packed.size() * 4);
  } else {
    store.read_f32(tensor, kPieceElements, [&](int64_t first, std::span<const float> values) {
      device->upload(weight->address() + static_cast<uint64_t>(first) * 4, values.data(), values.size() * 4);
    });
  }
  return weight;
}

}  // namespace sdgen::cuda
