#include "backends/cuda/weight.h"

#include <algorithm>

#include "base/half.h"

namespace sdgen::cuda {
namespace {

constexpr int64_t kPieceElements = 1 << 20;  // 4 MiB of float32 between file and packed weight

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

/// [k][stored]: neighbouring threads read neighbouring outputs.
std::vector<float> transposed(const Matrix& m, const WeightStore& store, const TensorInfo& tensor) {
  std::vector<float> packed(static_cast<size_t>(m.k() * m.stored()), 0.0f);
  store.read_f32(tensor, kPieceElements, [&](int64_t first, std::span<const float> values) {
    for (size_t i = 0; i < values.size();) {
      const int64_t at = first + static_cast<int64_t>(i), n = at / m.k();
      for (int64_t rest = at % m.k(); rest < m.k() && i < values.size(); ++rest, ++i) {
        packed[static_cast<size_t>((rest % m.area * m.channels + rest / m.area) * m.stored() + n)] = values[i];
      }
    }
  });
  return packed;
}

/// [outputs][half_row]: a row of the product's other side, as tensor cores take it.
std::vector<uint16_t> halves(const Matrix& m, const WeightStore& store, const TensorInfo& tensor) {
  const int64_t row = half_row(m.channels, m.area), tap = (m.channels + 7) / 8 * 8;
  std::vector<uint16_t> packed(static_cast<size_t>(m.outputs * row), 0);
  store.read_f32(tensor, kPieceElements, [&](int64_t first, std::span<const float> values) {
    for (size_t i = 0; i < values.size();) {
      const int64_t at = first + static_cast<int64_t>(i), n = at / m.k();
      for (int64_t rest = at % m.k(); rest < m.k() && i < values.size(); ++rest, ++i) {
        packed[static_cast<size_t>(n * row + rest % m.area * tap + rest / m.area)] = f32_to_f16(values[i]);
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
                                         const std::shared_ptr<Device>& device) {
  auto weight = std::make_shared<CudaWeight>(device, packed_bytes(use, element));
  if (is_matrix(use) && element == Element::kF16) {
    const std::vector<uint16_t> packed = halves(Matrix(use), store, tensor);
    device->upload(weight->address(), packed.data(), packed.size() * 2);
  } else if (is_matrix(use)) {
    const std::vector<float> packed = transposed(Matrix(use), store, tensor);
    device->upload(weight->address(), packed.data(), packed.size() * 4);
  } else {
    store.read_f32(tensor, kPieceElements, [&](int64_t first, std::span<const float> values) {
      device->upload(weight->address() + static_cast<uint64_t>(first) * 4, values.data(), values.size() * 4);
    });
  }
  return weight;
}

}  // namespace sdgen::cuda
