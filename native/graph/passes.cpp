#include "graph/passes.h"

#include <algorithm>
#include <map>

namespace sdgen {
namespace {

/// How many operands of nodes each value is.
std::vector<int> readers(const Program& program) {
  std::vector<int> count(program.values.size(), 0);
  for (const Node& node : program.nodes) {
    for (ValueId id : node.inputs) ++count[static_cast<size_t>(id)];
  }
  return count;
}

std::vector<int> writers(const Program& program) {
  std::vector<int> writer(program.values.size(), -1);
  for (size_t n = 0; n < program.nodes.size(); ++n) writer[static_cast<size_t>(program.nodes[n].output)] = static_cast<int>(n);
  return writer;
}

ValueId add_value(Program& program, const Value& like, Element element, Halo halo) {
  program.values.push_back({.shape = like.shape, .kind = ValueKind::kIntermediate, .name = {}, .element = element, .halo = halo});
  return static_cast<ValueId>(program.values.size() - 1);
}

Node store_node(const Program& program, ValueId from, ValueId to) {
  const auto bytes = static_cast<double>(program.value(from).bytes() + program.value(to).bytes());
  return {.op = StoreOp{}, .inputs = {from}, .output = to, .weights = {}, .flops = 0, .bytes = bytes};
}

bool is_product(const Op& op) { return std::holds_alternative<LinearOp>(op) || std::holds_alternative<Conv2dOp>(op); }
bool is_embedding(const Op& op) {
  return std::holds_alternative<TokenEmbeddingOp>(op) || std::holds_alternative<TimestepEmbeddingOp>(op);
}
/// A product adds its residual in the storage that it writes.
bool has_residual(const Op& op) {
  if (const auto* linear = std::get_if<LinearOp>(&op)) return linear->residual;
  const auto* conv = std::get_if<Conv2dOp>(&op);
  return conv != nullptr && conv->residual;
}

}  // namespace

void fuse_geglu(Program& program, const std::function<bool(int64_t)>& splits) {
  const std::vector<int> reads = readers(program), writer = writers(program);
  std::vector<bool> gone(program.nodes.size(), false);
  for (size_t n = 0; n < program.nodes.size(); ++n) {
    Node& geglu = program.nodes[n];
    if (!std::holds_alternative<GegluOp>(geglu.op)) continue;
    const auto wide = static_cast<size_t>(geglu.inputs[0]);
    if (writer[wide] < 0 || reads[wide] != 1 || program.values[wide].kind != ValueKind::kIntermediate) continue;
    Node& before = program.nodes[static_cast<size_t>(writer[wide])];
    auto* linear = std::get_if<LinearOp>(&before.op);
    if (linear == nullptr || linear->activation != Activation::kNone || linear->residual || !splits(linear->out)) continue;
    linear->geglu = true;
    before.flops += geglu.flops;
    before.bytes += static_cast<double>(program.value(geglu.output).bytes() - program.values[wide].bytes());
    before.output = geglu.output;
    gone[n] = true;
  }
  size_t n = 0;
  std::erase_if(program.nodes, [&](const Node&) { return gone[n++]; });
}

namespace {

/// Values in two storages: the one they are written in and, when a reader wants another, a twin that a store op fills.
class Twins {
 public:
  Twins(Program& program, std::vector<Node>& nodes) : program_(program), nodes_(nodes) {}
  ValueId as(ValueId id, Element element) {
    if (program_.value(id).element == element) return id;
    const auto known = twins_.find(id);
    if (known != twins_.end()) return known->second;
    const ValueId twin = add_value(program_, program_.value(id), element, {});
    nodes_.push_back(store_node(program_, id, twin));
    return twins_[id] = twin;
  }

 private:
  Program& program_;
  std::vector<Node>& nodes_;
  std::map<ValueId, ValueId> twins_;
};

/// The operand that a convolution adds per channel stays float32, as its sums are; -1: none.
int channel_add_input(const Op& op) {
  const auto* conv = std::get_if<Conv2dOp>(&op);
  return conv != nullptr && conv->channel_add ? 1 : -1;
}

}  // namespace

void lower_storage(Program& program, Element element) {
  std::vector<bool> stays(program.values.size(), false);
  const std::vector<int> reads = readers(program);
  for (const Node& node : program.nodes) {
    const int add = channel_add_input(node.op);
    if (add < 0) continue;
    const auto id = static_cast<size_t>(node.inputs[static_cast<size_t>(add)]);
    stays[id] = reads[id] == 1;
  }
  std::vector<Node> nodes;
  Twins twins(program, nodes);
  for (Node node : program.nodes) {
    const bool embedding = is_embedding(node.op);
    for (size_t i = 0; i < node.inputs.size() && !embedding; ++i) {
      const bool add = static_cast<int>(i) == channel_add_input(node.op);
      node.inputs[i] = twins.as(node.inputs[i], add ? Element::kF32 : element);
    }
    const auto out = static_cast<size_t>(node.output);
    const bool writes_f32 = is_product(node.op) && !has_residual(node.op);
    if (embedding || (writes_f32 && (stays[out] || program.values[out].kind == ValueKind::kOutput))) {
      nodes.push_back(std::move(node));
    } else if (program.values[out].kind == ValueKind::kIntermediate) {
      program.values[out].element = element;
      nodes.push_back(std::move(node));
    } else {
      const ValueId outer = node.output;
      node.output = add_value(program, program.value(outer), element, {});
      nodes.push_back(node);
      nodes.push_back(store_node(program, node.output, outer));
    }
  }
  program.nodes = std::move(nodes);
}

void give_halos(Program& program) {
  const std::vector<int> reads = readers(program), writer = writers(program);
  std::vector<Node> nodes;
  // First who can write a halo itself …
  std::vector<bool> given(program.values.size(), false);
  for (const Node& node : program.nodes) {
    const auto* conv = std::get_if<Conv2dOp>(&node.op);
    if (conv == nullptr || conv->pad_before + conv->pad_after == 0) continue;
    const auto x = static_cast<size_t>(node.inputs[0]);
    if (reads[x] != 1 || writer[x] < 0 || program.values[x].kind != ValueKind::kIntermediate) continue;
    const Op& op = program.nodes[static_cast<size_t>(writer[x])].op;
    if (!std::holds_alternative<GroupNormOp>(op) && !std::holds_alternative<ResizeNearestOp>(op)) continue;
    program.values[x].halo = {conv->pad_before, conv->pad_after};
    given[x] = true;
  }
  // … then a copy for the others.
  for (Node& node : program.nodes) {
    const auto* conv = std::get_if<Conv2dOp>(&node.op);
    if (conv != nullptr && conv->pad_before + conv->pad_after != 0 && !given[static_cast<size_t>(node.inputs[0])]) {
      const ValueId x = node.inputs[0];
      const ValueId framed = add_value(program, program.value(x), program.value(x).element, {conv->pad_before, conv->pad_after});
      nodes.push_back(store_node(program, x, framed));
      node.inputs[0] = framed;
    }
    nodes.push_back(node);
  }
  program.nodes = std::move(nodes);
}

}  // namespace sdgen
