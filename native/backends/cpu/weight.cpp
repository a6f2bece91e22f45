#include "backends/cpu/weight.h"

#include <algorithm>
#include <cstring>
#include <span>
#include <vector>

#include "backends/cpu/packing.h"

namespace sdgen::cpu {
namespace {

constexpr int64_t kPieceElements = 1 << 20;  // 4 MiB of float32 between file and packed weight, a thread

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
  const uint32_t rounded = (bits + 0x7fffU + (bits >> 16 & 1U)) >> 16;
  return static_cast<uint16_t>((bits & 0x7fffffffU) > 0x7f800000U ? 0x7fc0U : rounded);
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

/// Input channels packed in one go: as many as keep the lines that they are written to in the first-level cache.
int64_t channel_block(const Layout& layout) { return layout.height * layout.width > 1 ? 16 : 64; }

/// Channels [begin, end) of an output's `values` (in file order) to float32: [k][width] from `column` on.
void pack_channels(const float* values, const Layout& layout, int64_t begin, int64_t end, float* column, int64_t width) {
  const int64_t taps = layout.height * layout.width;
  for (int64_t tap = 0; tap < taps; ++tap) {
    const float* from = values + begin * taps + tap;
    float* to = column + (tap * layout.channels + begin) * width;
    for (int64_t left = end - begin; left > 0; --left, from += taps, to += width) *to = *from;
  }
}

/// The same to bf16: [k/2][width][2]. A tap's channels may begin in the middle of a pair.
void pack_channels(const float* values, const Layout& layout, int64_t begin, int64_t end, uint16_t* column, int64_t width) {
  constexpr int64_t kMost = 64 * 16;
  const int64_t stored = layout.stored / layout.height, taps = layout.height * layout.width, count = end - begin;
  uint16_t some[kMost];
  std::vector<uint16_t> many(count * taps > kMost ? static_cast<size_t>(count * taps) : 0);
  uint16_t* bits = many.empty() ? some : many.data();
  for (int64_t i = 0; i < count * taps; ++i) bits[i] = bf16_bits(values[begin * taps + i]);
  for (int64_t tap = 0; tap < taps; ++tap) {
    const int64_t k = tap / layout.width * stored + tap % layout.width * layout.channels + begin;
    const uint16_t* from = bits + tap;
    uint16_t* to = column + (k >> 1) * 2 * width;
    int64_t left = count;
    if ((k & 1) != 0) {
      to[1] = *from;
      from += taps, to += 2 * width, --left;
    }
    for (; left > 1; left -= 2, from += 2 * taps, to += 2 * width) {
      to[0] = from[0];
      to[1] = from[taps];
    }
    if (left == 1) to[0] = *from;
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
  const int64_t block = channel_block(layout), rows = std::max<int64_t>(1, kPieceElements / k);
  // Each thread reads, converts and packs panels of its own.
  pool.parallel_for(static_cast<int64_t>(panels.size()), 1, [&](int64_t begin, int64_t end, int) {
    std::vector<float> values(static_cast<size_t>(std::min<int64_t>(rows, panels.front().width) * k));
    for (const Panel& panel : std::span(panels).subspan(static_cast<size_t>(begin), static_cast<size_t>(end - begin))) {
      const int64_t last_row = std::min(panel.begin + panel.width, layout.matrix.n);
      for (int64_t row = panel.begin; row < last_row; row += rows) {
        const int64_t count = std::min(rows, last_row - row);
        store.read_f32_range(tensor, row * k, std::span(values).first(static_cast<size_t>(count * k)));
        for (int64_t c = 0; c < layout.channels; c += block) {
          const int64_t last = std::min(c + block, layout.channels);
          for (int64_t r = 0; r < count; ++r) {
            const float* source = values.data() + r * k;
            const int64_t start = panel.begin * layout.stored, column = row + r - panel.begin;
            if (element == Element::kBf16) {
              pack_channels(source, layout, c, last, reinterpret_cast<uint16_t*>(memory) + start + 2 * column, panel.width);
            } else {
              pack_channels(source, layout, c, last, reinterpret_cast<float*>(memory) + start + column, panel.width);
            }
          }
        }
      }
    }
  });
  weight->matrix = layout.matrix;
  weight->matrix.data = memory;
  return weight;
}

}  // namespace sdgen::cpu
