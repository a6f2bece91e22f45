#include "backends/cpu/weight.h"

#include <algorithm>
#include <cstring>

#include "backends/cpu/packing.h"

namespace sdgen::cpu {
namespace {

constexpr int64_t kPieceElements = 1 << 20;  // 4 MiB of float32 between file and packed weight

bool in_panels(const WeightUse& use) { return use.layout == WeightLayout::kLinear || use.layout == WeightLayout::kConv; }

/// The matrix of a use, without memory. A file's row is ordered (c, kh, kw), a packed one (kh, kw, c).
struct Layout {
  Matrix matrix{};
  int64_t channels = 0, height = 1, width = 1;  // of the kernel
  int64_t stored = 0;                           // of k, all stretches
  Layout(const WeightUse& use, const KernelTable& table, const Geometry& geometry) {
    if (use.layout == WeightLayout::kConv) {
      height = use.shape[2];
      width = use.shape[3];
    }
    channels = use.shape[1];
    const int64_t length = width * channels;
    matrix = {nullptr, use.shape[0], first_half(use.shape[0], table.lanes), height, length};
    stored = height * padded(length, geometry.k_step);
  }
  int64_t padded_outputs(const KernelTable& table) const { return padded(matrix.n, table.lanes); }
};

/// Elements of a vector's memory: the widest panel may be read from any output on.
int64_t vector_elements(const WeightUse& use, const KernelTable& table, const Geometry& geometry) {
  int64_t n = 1;
  for (int64_t d : use.shape) n *= d;
  return use.layout == WeightLayout::kTable ? n : padded(n, table.lanes) + geometry.max_vectors * table.lanes;
}

uint16_t bf16_bits(float x) {
  uint32_t bits;
  std::memcpy(&bits, &x, sizeof bits);
  if ((bits & 0x7fffffffU) > 0x7f800000U) return 0x7fc0;
  return static_cast<uint16_t>((bits + 0x7fffU + (bits >> 16 & 1U)) >> 16);
}

struct Panel {
  int64_t begin, width;
};
std::vector<Panel> panels_of(const Matrix& matrix, const KernelTable& table, const Geometry& geometry) {
  std::vector<Panel> panels;
  for (int64_t begin = 0, end = matrix.half; begin < matrix.n;) {
    if (begin >= end) end = matrix.n;
    const int64_t width = panel_vectors(padded(end - begin, table.lanes) / table.lanes, geometry.max_vectors) * table.lanes;
    panels.push_back({begin, width});
    begin += width;
  }
  return panels;
}

/// Output `row` (values in file order) into column `column` of its panel.
template <typename T, typename Convert>
void pack_row(const float* values, const Layout& layout, int64_t column, int64_t width, int64_t pair, T* panel, Convert convert) {
  const int64_t stored = layout.stored / layout.height;
  for (int64_t kh = 0; kh < layout.height; ++kh) {
    for (int64_t kw = 0; kw < layout.width; ++kw) {
      for (int64_t c = 0; c < layout.channels; ++c) {
        const int64_t k = kh * stored + kw * layout.channels + c;
        panel[k / pair * pair * width + column * pair + k % pair] = convert(values[(c * layout.height + kh) * layout.width + kw]);
      }
    }
  }
}

}  // namespace

uint64_t packed_bytes(const WeightUse& use, const KernelTable& table, Element element) {
  const Geometry& geometry = kernels_for(table, element).geometry;
  if (!in_panels(use)) return static_cast<uint64_t>(vector_elements(use, table, geometry)) * sizeof(float);
  const Layout layout(use, table, geometry);
  return static_cast<uint64_t>(layout.padded_outputs(table) * layout.stored * element_bytes(element));
}

std::shared_ptr<const CpuWeight> pack(const WeightUse& use, const WeightStore& store, const TensorInfo& tensor,
                                      const KernelTable& table, Element element, ThreadPool& pool) {
  const uint64_t bytes = packed_bytes(use, table, element);
  auto weight = std::make_shared<CpuWeight>(bytes);
  auto* memory = weight->memory.data();
  if (!in_panels(use)) {
    auto* floats = reinterpret_cast<float*>(memory);
    std::fill_n(floats, bytes / sizeof(float), 0.0f);
    store.read_f32(tensor, kPieceElements, [&](int64_t first, std::span<const float> values) {
      std::copy(values.begin(), values.end(), floats + first);
    });
    return weight;
  }
  const Geometry& geometry = kernels_for(table, element).geometry;
  const Layout layout(use, table, geometry);
  const std::vector<Panel> panels = panels_of(layout.matrix, table, geometry);
  const int64_t k = layout.matrix.stretches * layout.matrix.length;
  // Panels that no row fills whole, and bf16's filling up, must be zero.
  const bool ragged = layout.padded_outputs(table) != use.shape[0] || layout.stored != k;
  if (ragged) std::memset(memory, 0, bytes);
  store.read_f32(tensor, kPieceElements, [&](int64_t first, std::span<const float> values) {
    const int64_t row = first / k, rows = static_cast<int64_t>(values.size()) / k;
    pool.parallel_for(static_cast<int64_t>(panels.size()), 1, [&](int64_t begin, int64_t end, int) {
      for (int64_t p = begin; p < end; ++p) {
        const Panel& panel = panels[static_cast<size_t>(p)];
        const int64_t from = std::max(row, panel.begin), to = std::min(row + rows, panel.begin + panel.width);
        for (int64_t r = from; r < to; ++r) {
          const float* source = values.data() + (r - row) * k;
          if (element == Element::kBf16) {
            auto* out = reinterpret_cast<uint16_t*>(memory) + panel.begin * layout.stored;
            pack_row(source, layout, r - panel.begin, panel.width, 2, out, bf16_bits);
          } else {
            auto* out = reinterpret_cast<float*>(memory) + panel.begin * layout.stored;
            pack_row(source, layout, r - panel.begin, panel.width, 1, out, [](float x) { return x; });
          }
        }
      }
    });
  });
  weight->matrix = layout.matrix;
  weight->matrix.data = memory;
  return weight;
}

}  // namespace sdgen::cpu
