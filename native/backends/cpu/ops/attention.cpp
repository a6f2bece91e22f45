// Keys and values are packed per head, then every head's queries are shared out in blocks.
#include <algorithm>
#include <cmath>
#include <cstring>

#include "backends/cpu/ops/call.h"

namespace sdgen::cpu {
namespace {

constexpr double kLog2E = 0x1.71547652b82fep+0;

/// Elements of one head's packed keys and values: bf16 comes in pairs.
struct HeadLayout {
  int64_t keys, values, stored_size;
  HeadLayout(int64_t key_count, int64_t size, Element element) {
    const bool pairs = element == Element::kBf16;
    stored_size = pairs ? (size + 1) / 2 * 2 : size;
    // Values may be read a whole pair of keys beyond the last.
    keys = key_count * stored_size;
    values = (key_count + 1) / 2 * 2 * size;
  }
  int64_t total() const { return (keys + values + 31) / 32 * 32; }
};

template <typename T>
void pack_head(const T* k, const T* v, int64_t stride, int64_t count, int64_t size, const HeadLayout& layout, bool pairs, T* packed) {
  for (int64_t j = 0; j < count; ++j) {
    T* key = packed + j * layout.stored_size;
    std::copy(k + j * stride, k + j * stride + size, key);
    if (layout.stored_size > size) key[size] = T{};
  }
  T* values = packed + layout.keys;
  for (int64_t j = 0; j < count; j += pairs ? 2 : 1) {
    const T* row = v + j * stride;
    if (!pairs) {
      std::copy(row, row + size, values + j * size);
      continue;
    }
    T* pair = values + j * size;
    const bool both = j + 1 < count;
    for (int64_t d = 0; d < size; ++d) {
      pair[2 * d] = row[d];
      pair[2 * d + 1] = both ? row[stride + d] : T{};
    }
  }
}

int64_t thread_scratch(int64_t size, Element element, const KernelTable& table) {
  const StorageKernels& kernels = element == Element::kBf16 ? *table.bf16 : table.f32;
  return (kernels.attention_scratch(size) + 63) / 64 * 64;
}

}  // namespace

uint64_t attention_scratch(const AttentionOp& op, const Program& program, const Node& node, const KernelTable& table, int threads) {
  const Value& k = program.value(node.inputs[1]);
  const int64_t size = k.shape.channels() / op.heads;
  const HeadLayout layout(k.shape.rows_per_image(), size, k.element);
  const int64_t bytes = k.shape[0] * op.heads * layout.total() * element_bytes(k.element) + threads * thread_scratch(size, k.element, table);
  return static_cast<uint64_t>(bytes);
}

void run_op(const AttentionOp& op, const OpCall& call) {
  const Element element = call.out_value().element;
  const bool pairs = element == Element::kBf16;
  const int64_t images = call.in_shape(0)[0], channels = call.in_shape(0).channels(), size = channels / op.heads;
  const int64_t queries = call.in_shape(0).rows_per_image(), keys = call.in_shape(1).rows_per_image();
  const HeadLayout layout(keys, size, element);
  const StorageKernels& kernels = call.kernels();

  call.pool.parallel_for(images * op.heads, 1, [&](int64_t begin, int64_t end, int) {
    for (int64_t h = begin; h < end; ++h) {
      const int64_t from = h / op.heads * keys * channels + h % op.heads * size;
      if (pairs) {
        pack_head(call.in<Bf16>(1) + from, call.in<Bf16>(2) + from, channels, keys, size, layout, pairs,
                  reinterpret_cast<Bf16*>(call.scratch) + h * layout.total());
      } else {
        pack_head(call.in<float>(1) + from, call.in<float>(2) + from, channels, keys, size, layout, pairs,
                  reinterpret_cast<float*>(call.scratch) + h * layout.total());
      }
    }
  });

  const int64_t block = call.table.max_vectors * call.table.lanes, blocks = (queries + block - 1) / block;
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
