#include "backends/reference/pack.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <limits>
#include <string>

#include "backends/reference/product.h"
#include "base/error.h"

namespace sdgen::reference {
namespace {

constexpr int64_t kPieceElements = 1 << 20;  // 4 MiB of float32 between file and packed weight

int64_t outputs(const WeightUse& use) { return use.shape[0]; }
int64_t inner(const WeightUse& use) {
  int64_t n = 1;
  for (size_t i = 1; i < use.shape.size(); ++i) n *= use.shape[i];
  return n;
}

/// Where k of the packed order, (kh, kw, c), stands for element (c, kh, kw) of the file's row.
struct InnerOrder {
  int64_t channels, area;
  int64_t packed_k(int64_t file_k) const { return file_k % area * channels + file_k / area; }
};

/// Rows [row, row + rows) of [N, K] into panels.
void pack_rows(const float* values, int64_t row, int64_t rows, int64_t k, const InnerOrder& order, float* packed) {
  for (int64_t i = 0; i < k; ++i) {
    const int64_t at = order.packed_k(i) * kPanel;
    for (int64_t r = 0; r < rows; ++r) {
      const int64_t n = row + r;
      packed[n / kPanel * k * kPanel + at + n % kPanel] = values[r * k + i];
    }
  }
}

}  // namespace

AlignedFloats::AlignedFloats(int64_t count) {
  const size_t bytes = (static_cast<size_t>(std::max<int64_t>(count, 1)) * sizeof(float) + 63) / 64 * 64;
  memory_.reset(static_cast<float*>(std::aligned_alloc(64, bytes)));
  if (!memory_) throw Error(ErrorCode::kOutOfMemory, "could not allocate " + std::to_string(bytes) + " bytes");
  std::memset(memory_.get(), 0, bytes);
}

void AlignedFloats::Free::operator()(float* p) const noexcept { std::free(p); }

int64_t packed_count(const WeightUse& use) {
  const bool in_panels = use.layout == WeightLayout::kLinear || use.layout == WeightLayout::kConv;
  return (in_panels ? panels(outputs(use)) * kPanel : outputs(use)) * inner(use);
}

std::shared_ptr<const PackedWeight> pack(const WeightUse& use, const WeightStore& store, const TensorInfo& tensor) {
  auto weight = std::make_shared<ReferenceWeight>(packed_count(use));
  float* packed = weight->values.data();
  const int64_t k = inner(use);
  if (use.layout == WeightLayout::kVector || use.layout == WeightLayout::kTable) {
    store.read_f32(tensor, kPieceElements, [&](int64_t first, std::span<const float> values) {
      std::copy(values.begin(), values.end(), packed + first);
    });
    return weight;
  }
  const int64_t area = use.layout == WeightLayout::kConv ? use.shape[2] * use.shape[3] : 1;
  const InnerOrder order{k / area, area};
  store.read_f32(tensor, kPieceElements, [&](int64_t first, std::span<const float> values) {
    pack_rows(values.data(), first / k, static_cast<int64_t>(values.size()) / k, k, order, packed);
  });
  return weight;
}

}  // namespace sdgen::reference
