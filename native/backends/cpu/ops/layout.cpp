// Ops that move values: concatenate, resize, store anew.
#include <algorithm>
#include <cstring>

#include "backends/cpu/ops/call.h"
#include "base/error.h"

namespace sdgen::cpu {
namespace {

/// count elements, as they are.
void copy(const void* from, Element element, int64_t count, void* to) {
  std::memcpy(to, from, static_cast<size_t>(count * element_bytes(element)));
}

void clear(void* to, Element element, int64_t count) { std::memset(to, 0, static_cast<size_t>(count * element_bytes(element))); }

}  // namespace

void clear_halo(const Value& value, void* memory, int64_t image) {
  const PixelGrid grid(value);
  const int64_t channels = value.shape[3], before = value.halo.before, after = value.halo.after;
  const Element e = value.element;
  const int64_t start = image * grid.image, lines = value.shape[1];
  clear(at(memory, e, start), e, before * grid.row);
  clear(at(memory, e, start + (before + lines) * grid.row), e, after * grid.row);
  for (int64_t y = 0; y < lines; ++y) {
    const int64_t line = start + (before + y) * grid.row;
    clear(at(memory, e, line), e, before * channels);
    clear(at(memory, e, line + (before + value.shape[2]) * channels), e, after * channels);
  }
}

void run_op(const ConcatOp&, const OpCall& call) {
  const int64_t a = call.in_shape(0).channels(), b = call.in_shape(1).channels();
  const Element e = call.out_value().element;
  call.pool.parallel_for(call.out_shape().rows(), 16, [&](int64_t begin, int64_t end, int) {
    for (int64_t row = begin; row < end; ++row) {
      copy(at(call.call.inputs[0], e, row * a), e, a, at(call.call.output, e, row * (a + b)));
      copy(at(call.call.inputs[1], e, row * b), e, b, at(call.call.output, e, row * (a + b) + a));
    }
  });
}

void run_op(const ResizeNearestOp& op, const OpCall& call) {
  const Shape& in = call.in_shape(0);
  const Value& out = call.out_value();
  const PixelGrid grid(out);
  const int64_t channels = in[3];
  const Element e = out.element;
  call.pool.parallel_for(in[0] * op.height, 1, [&](int64_t begin, int64_t end, int) {
    for (int64_t row = begin; row < end; ++row) {
      const int64_t image = row / op.height, y = row % op.height, from = (image * in[1] + y * in[1] / op.height) * in[2];
      if (y == 0) clear_halo(out, call.call.output, image);
      const int64_t to = grid.origin + image * grid.image + y * grid.row;
      for (int64_t x = 0; x < op.width; ++x) {
        copy(at(call.call.inputs[0], e, (from + x * in[2] / op.width) * channels), e, channels, at(call.call.output, e, to + x * channels));
      }
    }
  });
}

void run_op(const StoreOp&, const OpCall& call) {
  const Value &in = call.in_value(0), &out = call.out_value();
  if (in.halo.total() != 0) throw Error(ErrorCode::kInternal, "store reads values without a halo");
  const Shape& shape = in.shape;
  // Pictures line by line, so that a halo finds its place; other shapes as one line a row.
  const bool picture = out.halo.total() != 0;
  const int64_t lines = picture ? shape[0] * shape[1] : shape.rows(), width = picture ? shape[2] * shape[3] : shape.channels();
  const PixelGrid grid = picture ? PixelGrid(out) : PixelGrid(Value{.shape = {1, 1, 1, 1}, .name = {}});
  call.pool.parallel_for(lines, 1, [&](int64_t begin, int64_t end, int) {
    for (int64_t line = begin; line < end; ++line) {
      int64_t to = line * width;
      if (picture) {
        const int64_t image = line / shape[1], y = line % shape[1];
        if (y == 0) clear_halo(out, call.call.output, image);
        to = grid.origin + image * grid.image + y * grid.row;
      }
      const void* from = at(call.call.inputs[0], in.element, line * width);
      void* place = at(call.call.output, out.element, to);
      if (in.element == out.element) {
        copy(from, in.element, width, place);
      } else if (out.element == Element::kBf16) {
        call.table.bf16->from_f32(static_cast<const float*>(from), width, place);
      } else {
        call.table.bf16->to_f32(from, width, static_cast<float*>(place));
      }
    }
  });
}

}  // namespace sdgen::cpu
