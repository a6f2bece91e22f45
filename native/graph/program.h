#pragma once
// A program: the ops of one model part for one input shape, in order, with the place of every value in one arena.
#include <cstdint>
#include <string>
#include <variant>
#include <vector>

#include "graph/ops/activation.h"
#include "graph/ops/attention.h"
#include "graph/ops/conv2d.h"
#include "graph/ops/embedding.h"
#include "graph/ops/layout.h"
#include "graph/ops/linear.h"
#include "graph/ops/norm.h"
#include "graph/ops/store.h"
#include "graph/shape.h"

namespace sdgen {

using Op = std::variant<LinearOp, Conv2dOp, GroupNormOp, LayerNormOp, AttentionOp, ActivationOp, GegluOp, AddOp, ScaleOp,
                        ConcatOp, ResizeNearestOp, TokenEmbeddingOp, TimestepEmbeddingOp, StoreOp>;
const char* op_name(const Op& op) noexcept;

using ValueId = int32_t;

/// How a backend is to lay a weight out; file shapes are outermost first.
enum class WeightLayout {
  kLinear,  // [N, K] (or [N, K, 1, 1])
  kConv,    // [O, I, kh, kw]
  kVector,  // [C]
  kTable,   // [rows, C]
};

struct WeightUse {
  std::string name;  // canonical
  WeightLayout layout = WeightLayout::kVector;
  std::vector<int64_t> shape;
  bool operator==(const WeightUse&) const = default;
};

enum class ValueKind { kInput, kIntermediate, kOutput };

/// How the elements of a value are stored. Builders record kF32 (ids are int32 in it); a backend's passes may lower it.
enum class Element { kF32, kBf16, kF16 };
inline int64_t element_bytes(Element element) noexcept { return element == Element::kF32 ? 4 : 2; }

/// Zeros that a picture's storage has around it, in pixels; above and left, below and right.
struct Halo {
  int64_t before = 0, after = 0;
  int64_t total() const noexcept { return before + after; }
  bool operator==(const Halo&) const = default;
};

struct Value {
  Shape shape;
  ValueKind kind = ValueKind::kIntermediate;
  std::string name;         // of inputs and outputs
  bool steady = false;      // of an input: it keeps its value over many runs
  int first = -1, last = -1;  // node that writes it, last node that reads it
  int64_t offset = -1;      // bytes into the arena; -1 for inputs and outputs, which are bound
  Element element = Element::kF32;
  Halo halo = {};           // of [N, H, W, C] intermediates whose reader wants one
  int64_t bytes() const noexcept {
    const int64_t stored = halo.total() == 0 ? shape.elements()
                                             : shape[0] * (shape[1] + halo.total()) * (shape[2] + halo.total()) * shape[3];
    return stored * element_bytes(element);
  }
};

struct Node {
  Op op;
  std::vector<ValueId> inputs;  // in the order of the op's record; absent epilogue inputs are left out
  ValueId output = -1;
  std::vector<int32_t> weights;  // indices into Program::weights
  double flops = 0, bytes = 0;   // mathematics' work; values read and written once, weights included
};

struct Program {
  std::string part;  // text, unet, vae
  std::vector<Value> values;
  std::vector<Node> nodes;
  std::vector<WeightUse> weights;  // each once
  std::vector<ValueId> inputs, outputs;
  int64_t arena_bytes = 0;  // what the planner needs
  int64_t live_bytes = 0;   // the largest sum of intermediate values live at one node
  double flops = 0;
  const Value& value(ValueId id) const { return values[static_cast<size_t>(id)]; }
  /// The input or output of that name; throws kInternal if there is none.
  ValueId named(const std::string& name) const;
};

/// Sets first, last and offset of every intermediate value, arena_bytes and live_bytes.
void plan_memory(Program& program);

}  // namespace sdgen
