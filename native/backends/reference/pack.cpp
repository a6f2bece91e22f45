#include "backends/reference/pack.h"

#include <algorithm>

#include "backends/reference/product.h"

namespace sdgen::reference {
namespace {

constexpr int64_t kPieceElements = 1 << 20;  // 4 MiB of float32 between file and packed weight

int64_t outputs(const WeightUse& use) { return use.shape[0]; }
int64_t inner(const WeightUse& use) {
  int64_t n = 1;
  for (size_t i = 1; i < use.shape.size(); ++i) n *= use.shape[i];
  return n;
}

/// A file's row is ordered (c, kh, kw), a packed one (kh, kw, c).
struct InnerOrder {
  int64_t channels, area;
};

/// Rows [first, first + values' rows) of [N, K] that fall into one panel.
void pack_panel(const float* values, int64_t first, int64_t begin, int64_t end, const InnerOrder& order, float* packed) {
  const int64_t k = order.channels * order.area, rows = end - begin;
  float* panel = packed + begin / kPanel * k * kPanel + begin % kPanel;
  const float* source = values + (begin - first) * k;
  for (int64_t c = 0; c < order.channels; ++c) {
    for (int64_t a = 0; a < order.area; ++a) {
      float* to = panel + (a * order.channels + c) * kPanel;
      for (int64_t r = 0; r < rows; ++r) to[r] = source[r * k + c * order.area + a];
    }
  }
}

/// Rows [first, first + rows) of [N, K] into their panels, each by one thread.
void pack_rows(const float* values, int64_t first, int64_t rows, const InnerOrder& order, float* packed, ThreadPool& pool) {
  const int64_t first_panel = first / kPanel, panel_count = panels(first + rows) - first_panel;
  pool.parallel_for(panel_count, 1, [&](int64_t begin, int64_t end, int) {
    for (int64_t p = first_panel + begin; p < first_panel + end; ++p) {
      pack_panel(values, first, std::max(first, p * kPanel), std::min(first + rows, (p + 1) * kPanel), order, packed);
    }
  });
}

/// Panels reach beyond the last output: what lies there is +0.
void clear_last_panel(const WeightUse& use, int64_t k, float* packed) {
  const int64_t n = outputs(use);
  if (n % kPanel != 0) std::fill_n(packed + n / kPanel * k * kPanel, k * kPanel, 0.0f);
}

}  // namespace

int64_t packed_count(const WeightUse& use) {
  const bool in_panels = use.layout == WeightLayout::kLinear || use.layout == WeightLayout::kConv;
  return (in_panels ? panels(outputs(use)) * kPanel : outputs(use)) * inner(use);
}

std::shared_ptr<const PackedWeight> pack(const WeightUse& use, const WeightStore& store, const TensorInfo& tensor, ThreadPool& pool) {
  auto weight = std::make_shared<ReferenceWeight>(packed_count(use));
  float* packed = weight->values();
  const int64_t k = inner(use);
  if (use.layout == WeightLayout::kVector || use.layout == WeightLayout::kTable) {
    store.read_f32(tensor, kPieceElements, [&](int64_t first, std::span<const float> values) {
      std::copy(values.begin(), values.end(), packed + first);
    });
    return weight;
  }
  const int64_t area = use.layout == WeightLayout::kConv ? use.shape[2] * use.shape[3] : 1;
  const InnerOrder order{k / area, area};
  clear_last_panel(use, k, packed);
  store.read_f32(tensor, kPieceElements, [&](int64_t first, std::span<const float> values) {
    pack_rows(values.data(), first / k, static_cast<int64_t>(values.size()) / k, order, packed, pool);
  });
  return weight;
}

}  // namespace sdgen::reference
