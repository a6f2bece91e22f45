// Keys and values are packed per head, then every head's queries are shared out in blocks.
#include <algorithm>
#include <cmath>
#include <cstring>

#include "backends/cpu/ops/call.h"
#include "backends/cpu/packing.h"

namespace sdgen::cpu {
namespace {

constexpr double kLog2E = 0x1.71547652b82fep+0;

/// Elements of one head's packed keys and values.
struct HeadLayout {
  int64_t group, stored_size, value_rows, stored_keys, keys, values;
  HeadLayout(int64_t key_count, int64_t size, const Geometry& geometry)
      : group(geometry.value_keys), stored_size(padded(size, geometry.k_step)), value_rows(padded(size, geometry.value_rows)),
        stored_keys(padded(key_count, group)), keys(stored_keys * stored_size),
        // Single values may be read a whole pair of keys beyond the last.
        values(padded(stored_keys, 2) * value_rows) {}
  int64_t total() const { return padded(keys + values, 32); }
};

template <typename T>
void pack_head(const T* k, const T* v, int64_t stride, int64_t count, int64_t size, const HeadLayout& layout, T* packed) {
  for (int64_t j = 0; j < layout.stored_keys; ++j) {
    T* key = packed + j * layout.stored_size;
    if (j < count) std::copy(k + j * stride, k + j * stride + size, key);
    std::fill(key + (j < count ? size : 0), key + layout.stored_size, T{});
  }
  T* values = packed + layout.keys;
  for (int64_t j = 0; j < count; j += layout.group) {
    const T* row = v + j * stride;
    if (layout.group == 1) {
      std::copy(row, row + size, values + j * layout.value_rows);
      continue;
    }
    const int64_t here = std::min(layout.group, count - j);
    T* to = values + j * layout.value_rows;
    for (int64_t d = 0; d < size; ++d, to += layout.group) {
      for (int64_t i = 0; i < here; ++i) to[i] = row[i * stride + d];
      std::fill(to + here, to + layout.group, T{});
    }
    std::fill_n(to, (layout.value_rows - size) * layout.group, T{});
  }
}

int64_t thread_scratch(int64_t size, Element element, const KernelTable& table) {
  return padded(kernels_for(table, element).attention_scratch(size), 64);
}

}  // namespace

uint64_t attention_scratch(const AttentionOp& op, const Program& program, const Node& node, const KernelTable& table, int threads) {
  const Value& k = program.value(node.inputs[1]);
  const int64_t size = k.shape.channels() / op.heads;
  const HeadLayout layout(k.shape.rows_per_image(), size, kernels_for(table, k.element).geometry);
  const int64_t bytes = k.shape[0] * op.heads * layout.total() * element_bytes(k.element) + threads * thread_scratch(size, k.element, table);
  return static_cast<uint64_t>(bytes);
}

void run_op(const AttentionOp& op, const OpCall& call) {
  const Element element = call.out_value().element;
  const int64_t images = call.in_shape(0)[0], channels = call.in_shape(0).channels(), size = channels / op.heads;
  const int64_t queries = call.in_shape(0).rows_per_image(), keys = call.in_shape(1).rows_per_image();
  const StorageKernels& kernels = call.kernels();
  const HeadLayout layout(keys, size, kernels.geometry);

  call.pool.parallel_for(images * op.heads, 1, [&](int64_t begin, int64_t end, int) {
    for (int64_t h = begin; h < end; ++h) {
      const int64_t from = h / op.heads * keys * channels + h % op.heads * size;
      if (element == Element::kBf16) {
        pack_head(call.in<Bf16>(1) + from, call.in<Bf16>(2) + from, channels, keys, size, layout,
                  reinterpret_cast<Bf16*>(call.scratch) + h * layout.total());
      } else {
        pack_head(call.in<float>(1) + from, call.in<float>(2) + from, channels, keys, size, layout,
                  reinterpret_cast<float*>(call.scratch) + h * layout.total());
      }
    }
  });

  const int64_t block = kernels.geometry.queries, blocks = (queries + block - 1) / block;
  unsigned char* per_thread = call.scratch + images * op.heads * layout.total() * element_bytes(element);
  const auto c = static_cast<float>(kLog2E / std::sqrt(static_cast<double>(size)));
  call.pool.parallel_for(images * op.heads * blocks, 1, [&](int64_t begin, int64_t end, int thread) {
    for (int64_t t = begin; t < end; ++t) {
      const int64_t first = t % blocks * block, head = t / blocks;
      const int64_t q = (head / op.heads * queries + first) * channels + head % op.heads * size;
      const void* packed = at(call.scratch, element, head * layout.total());
      kernels.attention({.q = at(call.call.inputs[0], element, q), .k = packed, .v = at(packed, element, layout.keys),
                         .out = at(call.call.output, element, q), .q_stride = channels, .out_stride = channels, .size = size,
                         .first = first, .queries = std::min(block, queries - first), .keys = keys, .c = c, .causal = op.causal,
                         .scratch = per_thread + thread * thread_scratch(size, element, call.table)});
    }
  });
}

}  // namespace sdgen::cpu
