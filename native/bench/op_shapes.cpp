#include "bench/op_shapes.h"

#include <algorithm>
#include <charconv>

#include "base/error.h"
#include "graph/builder.h"

namespace sdgen::bench {
namespace {

constexpr int64_t kLargestNumber = 1 << 20;

std::string dims(const Shape& shape) {
  std::string text;
  for (int i = 0; i < shape.rank(); ++i) text += (i ? "x" : "") + std::to_string(shape[i]);
  return text;
}

std::string epilogue(Activation activation, bool residual) {
  constexpr const char* kNames[] = {"", " silu", " gelu", " quick_gelu"};
  return std::string(kNames[static_cast<size_t>(activation)]) + (residual ? " residual" : "");
}

/// What the operands' shapes do not tell.
std::string detail(const LinearOp& op) { return (op.bias ? " bias" : "") + epilogue(op.activation, op.residual); }
std::string detail(const Conv2dOp& op) {
  return " " + std::to_string(op.kernel) + "x" + std::to_string(op.kernel) + (op.stride == 1 ? "" : " stride " + std::to_string(op.stride)) +
         (op.channel_add ? " channel_add" : "") + epilogue(op.activation, op.residual);
}
std::string detail(const GroupNormOp& op) { return op.silu ? " silu" : ""; }
std::string detail(const AttentionOp& op) { return " heads " + std::to_string(op.heads) + (op.causal ? " causal" : ""); }
std::string detail(const ActivationOp& op) { return epilogue(op.kind, false); }
template <typename Other>
std::string detail(const Other&) {
  return "";
}

std::string describe(const Program& program, const Node& node) {
  std::string text = op_name(node.op);
  // The first operand, and the second where it may differ from it: the keys, a skip connection.
  text += " " + dims(program.value(node.inputs[0]).shape);
  if (std::holds_alternative<AttentionOp>(node.op) || std::holds_alternative<ConcatOp>(node.op)) {
    text += " with " + dims(program.value(node.inputs[1]).shape);
  }
  text += " -> " + std::to_string(program.value(node.output).shape.channels());
  return text + std::visit([](const auto& op) { return detail(op); }, node.op);
}

/// The node with its operands as inputs.
Program alone(const Program& program, const Node& node) {
  Program one;
  one.part = program.part;
  one.flops = node.flops;
  Node copy = node;
  std::map<ValueId, ValueId> places;
  const auto place = [&](ValueId id, ValueKind kind, const std::string& name) {
    const auto [at, fresh] = places.emplace(id, static_cast<ValueId>(one.values.size()));
    if (fresh) {
      one.values.push_back(program.value(id));
      one.values.back().kind = kind;
      one.values.back().name = name;
      (kind == ValueKind::kInput ? one.inputs : one.outputs).push_back(at->second);
    }
    return at->second;
  };
  for (ValueId& id : copy.inputs) id = place(id, ValueKind::kInput, "in" + std::to_string(one.values.size()));
  copy.output = place(node.output, ValueKind::kOutput, "out");
  for (int32_t& weight : copy.weights) {
    one.weights.push_back(program.weights[static_cast<size_t>(weight)]);
    weight = static_cast<int32_t>(one.weights.size() - 1);
  }
  one.nodes.push_back(std::move(copy));
  plan_memory(one);
  for (Value& value : one.values) value.offset = -1;  // all are bound
  return one;
}

std::vector<int64_t> numbers(const std::string& description, size_t from, size_t least, size_t most) {
  std::vector<int64_t> found;
  const char* at = description.data() + from;
  const char* const end = description.data() + description.size();
  while (at < end) {
    int64_t value = 0;
    const auto [after, failed] = std::from_chars(at, end, value);
    if (failed != std::errc{} || value < 1 || value > kLargestNumber || (after != end && *after != ',')) break;
    found.push_back(value);
    at = after == end ? end : after + 1;
  }
  if (at != end || description.ends_with(',') || found.size() < least || found.size() > most) {
    throw Error(ErrorCode::kInvalidArgument,
                "op '" + description.substr(0, 80) + "': give linear:M,K,N, conv2d:N,H,W,C,O[,kernel[,stride]], "
                "attention:N,QUERIES,KEYS,HEADS,SIZE, group_norm:N,H,W,C, layer_norm:N,TOKENS,C or geglu:N,TOKENS,C");
  }
  return found;
}

}  // namespace

std::vector<OpShape> op_shapes(const Program& program) {
  std::vector<OpShape> shapes;
  for (const Node& node : program.nodes) {
    const std::string text = describe(program, node);
    const auto known = std::find_if(shapes.begin(), shapes.end(), [&](const OpShape& shape) { return shape.text == text; });
    if (known != shapes.end()) {
      known->count += 1;
    } else {
      shapes.push_back({text, 1, alone(program, node)});
    }
  }
  return shapes;
}

Program op_program(const std::string& description) {
  Builder b("op");
  const size_t colon = description.find(':');
  const std::string kind = description.substr(0, colon);
  const auto read = [&](size_t least, size_t most) { return numbers(description, colon == std::string::npos ? description.size() : colon + 1, least, most); };
  ValueId out = -1;
  if (kind == "linear") {
    const auto n = read(3, 3);
    out = b.linear("w", b.input("x", {1, n[0], n[1]}), n[2]);
  } else if (kind == "conv2d") {
    const auto n = read(5, 7);
    const int64_t kernel = n.size() > 5 ? n[5] : 3, pad = (kernel - 1) / 2;
    out = b.conv2d("w", b.input("x", {n[0], n[1], n[2], n[3]}), n[4],
                   {.kernel = kernel, .stride = n.size() > 6 ? n[6] : 1, .pad_before = pad, .pad_after = pad});
  } else if (kind == "attention") {
    const auto n = read(5, 5);
    const int64_t width = n[3] * n[4];
    const ValueId q = b.input("q", {n[0], n[1], width});
    const ValueId k = b.input("k", {n[0], n[2], width}), v = b.input("v", {n[0], n[2], width});
    out = b.attention(q, k, v, n[3]);
  } else if (kind == "group_norm") {
    const auto n = read(4, 4);
    out = b.group_norm("n", b.input("x", {n[0], n[1], n[2], n[3]}), n[3] % 32 == 0 ? 32 : 1, 1e-5, true);
  } else if (kind == "layer_norm") {
    const auto n = read(3, 3);
    out = b.layer_norm("n", b.input("x", {n[0], n[1], n[2]}));
  } else if (kind == "geglu") {
    const auto n = read(3, 3);
    out = b.geglu(b.input("x", {n[0], n[1], 2 * n[2]}));
  } else {
    numbers(description, 0, 1, 0);  // never fits: the forms are the message
  }
  b.output("out", out);
  return b.finish();
}

}  // namespace sdgen::bench
