#include "graph/builder.h"

#include "base/error.h"

namespace sdgen {

Builder::Builder(std::string part, bool keep_marks) : keep_marks_(keep_marks) { program_.part = std::move(part); }

ValueId Builder::input(std::string name, Shape shape, bool steady) {
  const auto id = static_cast<ValueId>(program_.values.size());
  program_.values.push_back({.shape = shape, .kind = ValueKind::kInput, .name = std::move(name), .steady = steady});
  program_.inputs.push_back(id);
  return id;
}

void Builder::output(std::string name, ValueId value) {
  Value& v = program_.values[static_cast<size_t>(value)];
  if (v.kind != ValueKind::kIntermediate) throw Error(ErrorCode::kInternal, "output '" + name + "' is not a fresh value");
  v.kind = ValueKind::kOutput;
  v.name = std::move(name);
  program_.outputs.push_back(value);
}

void Builder::mark(const std::string& name, ValueId value) {
  if (keep_marks_ && program_.value(value).kind == ValueKind::kIntermediate) output(name, value);
}

int32_t Builder::weight(std::string name, WeightLayout layout, std::vector<int64_t> shape) {
  WeightUse use{std::move(name), layout, std::move(shape)};
  for (size_t i = 0; i < program_.weights.size(); ++i) {
    if (program_.weights[i] == use) return static_cast<int32_t>(i);
  }
  program_.weights.push_back(std::move(use));
  return static_cast<int32_t>(program_.weights.size() - 1);
}

ValueId Builder::record(Op op, std::vector<ValueId> inputs, std::vector<int32_t> weights, Shape out, double flops) {
  const auto id = static_cast<ValueId>(program_.values.size());
  program_.values.push_back({.shape = out, .kind = ValueKind::kIntermediate, .name = {}});
  double bytes = static_cast<double>(program_.value(id).bytes());
  for (ValueId input : inputs) bytes += static_cast<double>(program_.value(input).bytes());
  for (int32_t w : weights) {
    const WeightUse& use = program_.weights[static_cast<size_t>(w)];
    double elements = 1;
    for (int64_t d : use.shape) elements *= static_cast<double>(d);
    // Of a table only the rows looked up are read; they are counted with the output.
    if (use.layout != WeightLayout::kTable) bytes += 4 * elements;
  }
  program_.nodes.push_back({std::move(op), std::move(inputs), id, std::move(weights), flops, bytes});
  program_.flops += flops;
  return id;
}

ValueId Builder::linear(const std::string& name, ValueId x, int64_t out, const LinearOptions& options) {
  LinearOp op{.in = shape(x).channels(), .out = out, .bias = options.bias, .activation = options.activation,
              .residual = options.residual >= 0};
  std::vector<int32_t> weights{weight(name + ".weight", WeightLayout::kLinear, {out, op.in})};
  if (op.bias) weights.push_back(weight(name + ".bias", WeightLayout::kVector, {out}));
  std::vector<ValueId> inputs{x};
  if (op.residual) inputs.push_back(options.residual);
  return record(op, inputs, weights, infer(op, shape(x)), flops(op, shape(x)));
}

ValueId Builder::conv2d(const std::string& name, ValueId x, int64_t out, const ConvOptions& options) {
  Conv2dOp op{.in = shape(x).channels(), .out = out, .kernel = options.kernel, .stride = options.stride,
              .pad_before = options.pad_before, .pad_after = options.pad_after, .channel_add = options.channel_add >= 0,
              .activation = options.activation, .residual = options.residual >= 0};
  std::vector<int32_t> weights{weight(name + ".weight", WeightLayout::kConv, {out, op.in, op.kernel, op.kernel}),
                               weight(name + ".bias", WeightLayout::kVector, {out})};
  std::vector<ValueId> inputs{x};
  if (op.channel_add) inputs.push_back(options.channel_add);
  if (op.residual) inputs.push_back(options.residual);
  return record(op, inputs, weights, infer(op, shape(x)), flops(op, shape(x)));
}

ValueId Builder::group_norm(const std::string& name, ValueId x, int64_t groups, double eps, bool silu) {
  const GroupNormOp op{.groups = groups, .eps = eps, .silu = silu};
  const int64_t c = shape(x).channels();
  if (c % groups != 0) {
    throw Error(ErrorCode::kModelFormat, "'" + name + "' has " + std::to_string(c) + " channels, not a multiple of its " +
                                             std::to_string(groups) + " groups");
  }
  return record(op, {x}, {weight(name + ".weight", WeightLayout::kVector, {c}), weight(name + ".bias", WeightLayout::kVector, {c})},
                infer(op, shape(x)), flops(op, shape(x)));
}

ValueId Builder::layer_norm(const std::string& name, ValueId x, double eps) {
  const LayerNormOp op{.eps = eps};
  const int64_t c = shape(x).channels();
  return record(op, {x}, {weight(name + ".weight", WeightLayout::kVector, {c}), weight(name + ".bias", WeightLayout::kVector, {c})},
                infer(op, shape(x)), flops(op, shape(x)));
}

ValueId Builder::attention(ValueId q, ValueId k, ValueId v, int64_t heads, bool causal) {
  const AttentionOp op{.heads = heads, .causal = causal};
  if (shape(q).channels() % heads != 0) {
    throw Error(ErrorCode::kModelFormat, std::to_string(heads) + " heads do not divide a width of " + std::to_string(shape(q).channels()));
  }
  return record(op, {q, k, v}, {}, infer(op, shape(q)), flops(op, shape(q), shape(k)));
}

ValueId Builder::activation(ValueId x, Activation kind) {
  const ActivationOp op{.kind = kind};
  return record(op, {x}, {}, infer(op, shape(x)), flops(op, shape(x)));
}

ValueId Builder::geglu(ValueId x) {
  const GegluOp op;
  return record(op, {x}, {}, infer(op, shape(x)), flops(op, shape(x)));
}

ValueId Builder::add(ValueId a, ValueId b) {
  const AddOp op;
  return record(op, {a, b}, {}, infer(op, shape(a)), static_cast<double>(shape(a).elements()));
}

ValueId Builder::scale(ValueId x, float factor) {
  const ScaleOp op{.factor = factor};
  return record(op, {x}, {}, infer(op, shape(x)), static_cast<double>(shape(x).elements()));
}

ValueId Builder::concat(ValueId a, ValueId b) {
  const ConcatOp op;
  return record(op, {a, b}, {}, infer(op, shape(a), shape(b)), 0);
}

ValueId Builder::resize_nearest(ValueId x, int64_t height, int64_t width) {
  const ResizeNearestOp op{.height = height, .width = width};
  return record(op, {x}, {}, infer(op, shape(x)), 0);
}

ValueId Builder::token_embedding(const std::string& token, const std::string& position, ValueId ids, int64_t vocabulary,
                                 int64_t positions, int64_t width) {
  const TokenEmbeddingOp op{.vocabulary = vocabulary, .positions = positions, .width = width};
  return record(op, {ids},
                {weight(token, WeightLayout::kTable, {vocabulary, width}), weight(position, WeightLayout::kTable, {positions, width})},
                infer(op, shape(ids)), static_cast<double>(shape(ids).elements() * width));
}

ValueId Builder::timestep_embedding(ValueId t, int64_t dim) {
  const TimestepEmbeddingOp op{.dim = dim};
  return record(op, {t}, {}, infer(op, shape(t)), 40.0 * static_cast<double>(shape(t)[0] * dim));
}

Program Builder::finish() {
  plan_memory(program_);
  return std::move(program_);
}

}  // namespace sdgen
