#include "backends/reference/product.h"

#include <algorithm>
#include <cstring>

#include "backends/host/clones.h"
#include "base/math.h"

namespace sdgen::reference {
namespace {

/// Eight outputs side by side: written as a vector so that the accumulators stay in registers.
typedef float Lanes __attribute__((vector_size(32)));
constexpr int kLanes = 8;

static_assert(kPanel == 2 * kLanes, "a panel is two vectors");

/// fma(a, b, acc), lane by lane.
[[gnu::always_inline]] inline Lanes fma_lanes(Lanes acc, float a, Lanes b) {
  Lanes result;
#pragma GCC unroll 8
  for (int i = 0; i < kLanes; ++i) result[i] = math::fma(a, b[i], acc[i]);
  return result;
}
[[gnu::always_inline]] inline Lanes load(const float* from) {
  Lanes value;
  std::memcpy(&value, from, sizeof value);
  return value;
}

/// kRows rows with one panel: one fma chain per output.
template <int kRows>
[[gnu::always_inline]] inline void chunk_rows(const float* a, int64_t stride, const float* w, int64_t k, float* y, int64_t ldy,
                                              Start start) {
  Lanes acc[kRows][2];
#pragma GCC unroll 8
  for (int r = 0; r < kRows; ++r) {
    acc[r][0] = start == Start::kContinue ? load(y + r * ldy) : Lanes{};
    acc[r][1] = start == Start::kContinue ? load(y + r * ldy + kLanes) : Lanes{};
  }
  for (int64_t i = 0; i < k; ++i) {
    const Lanes left = load(w + i * kPanel), right = load(w + i * kPanel + kLanes);
#pragma GCC unroll 8
    for (int r = 0; r < kRows; ++r) {
      const float value = a[r * stride + i];
      acc[r][0] = fma_lanes(acc[r][0], value, left);
      acc[r][1] = fma_lanes(acc[r][1], value, right);
    }
  }
#pragma GCC unroll 8
  for (int r = 0; r < kRows; ++r) {
    float* total = y + r * ldy;
    const Lanes left = start == Start::kAdd ? load(total) + acc[r][0] : acc[r][0];
    const Lanes right = start == Start::kAdd ? load(total + kLanes) + acc[r][1] : acc[r][1];
    std::memcpy(total, &left, sizeof left);
    std::memcpy(total + kLanes, &right, sizeof right);
  }
}

SDGEN_CLONES void multiply(const float* a, int64_t stride, int64_t rows, const float* w, int64_t k, float* y, int64_t ldy, Start start) {
  int64_t r = 0;
  for (; r + 6 <= rows; r += 6) chunk_rows<6>(a + r * stride, stride, w, k, y + r * ldy, ldy, start);
  for (; r < rows; ++r) chunk_rows<1>(a + r * stride, stride, w, k, y + r * ldy, ldy, start);
}

SDGEN_CLONES void apply_silu(float* x, int64_t count) {
  for (int64_t i = 0; i < count; ++i) x[i] = math::silu_f32(x[i]);
}
SDGEN_CLONES void apply_gelu(float* x, int64_t count) {
  for (int64_t i = 0; i < count; ++i) x[i] = math::gelu_f32(x[i]);
}
SDGEN_CLONES void apply_quick_gelu(float* x, int64_t count) {
  for (int64_t i = 0; i < count; ++i) x[i] = math::quick_gelu_f32(x[i]);
}

}  // namespace

void multiply_panel(const float* a, int64_t stride, int64_t rows, const float* panel, int64_t k, float* y, int64_t ldy, Start start) {
  multiply(a, stride, rows, panel, k, y, ldy, start);
}

void accumulate(const Stretch& stretch, const Columns& columns, float* y, int64_t ldy, bool first) {
  for (int64_t n = columns.begin; n < columns.end; n += kPanel) {
    const float* panel = columns.packed + (n / kPanel) * columns.k * kPanel + stretch.k_begin * kPanel;
    for (int64_t k = 0; k < stretch.length; k += kChunk) {
      multiply(stretch.a + k, stretch.stride, stretch.rows, panel + k * kPanel, std::min(kChunk, stretch.length - k),
               y + (n - columns.begin), ldy, first && k == 0 ? Start::kStore : Start::kAdd);
    }
  }
}

void finish_row(const float* totals, const Epilogue& epilogue, int64_t begin, int64_t end, float* out) {
  const int64_t count = end - begin;
  float* y = out + begin;
  std::copy(totals, totals + count, y);
  if (epilogue.bias != nullptr) {
    for (int64_t i = 0; i < count; ++i) y[i] += epilogue.bias[begin + i];
  }
  if (epilogue.channel_add != nullptr) {
    for (int64_t i = 0; i < count; ++i) y[i] += epilogue.channel_add[begin + i];
  }
  activate(epilogue.activation, y, count);
  if (epilogue.residual != nullptr) {
    for (int64_t i = 0; i < count; ++i) y[i] += epilogue.residual[begin + i];
  }
}

void activate(Activation kind, float* x, int64_t count) {
  switch (kind) {
    case Activation::kNone: return;
    case Activation::kSilu: apply_silu(x, count); return;
    case Activation::kGelu: apply_gelu(x, count); return;
    case Activation::kQuickGelu: apply_quick_gelu(x, count); return;
  }
}

}  // namespace sdgen::reference
