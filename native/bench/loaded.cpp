#include "bench/loaded.h"

#include <algorithm>

#include "bench/clock.h"
#include "bench/made_weights.h"

namespace sdgen::bench {
namespace {

bool holds_tokens(const Program& program, ValueId id) {
  return std::any_of(program.nodes.begin(), program.nodes.end(), [&](const Node& node) {
    return std::holds_alternative<TokenEmbeddingOp>(node.op) && node.inputs[0] == id;
  });
}

}  // namespace

Loaded::Loaded(Backend& backend, Program program) : backend_(backend), program_(std::move(program)) {
  const auto store = make_weights(program_.weights);
  std::vector<std::shared_ptr<const PackedWeight>> weights;
  for (const WeightUse& use : program_.weights) {
    weights.push_back(backend_.prepare(use, *store, *store->find(use.name)));
    weight_bytes_ += backend_.packed_bytes(use);
  }
  executable_ = backend_.compile(program_, std::move(weights));
  arena_ = backend_.allocate(static_cast<uint64_t>(program_.arena_bytes));
  for (const auto* list : {&program_.inputs, &program_.outputs}) {
    for (ValueId id : *list) {
      buffers_.push_back(backend_.allocate(static_cast<uint64_t>(program_.value(id).bytes())));
      bindings_.push_back({id, buffers_.back().get(), 0});
    }
  }
  fill_inputs();
}

/// Ordinary values: zeros would make products and exponentials of denormals or nothing, and tokens must exist.
void Loaded::fill_inputs() {
  for (size_t i = 0; i < program_.inputs.size(); ++i) {
    const Value& value = program_.value(program_.inputs[i]);
    if (holds_tokens(program_, program_.inputs[i])) {
      const std::vector<int32_t> ids(static_cast<size_t>(value.shape.elements()), 0);
      backend_.upload(*buffers_[i], 0, ids.data(), value.bytes());
      continue;
    }
    const auto made = make_weights({{value.name, WeightLayout::kTable, {1, value.shape.elements()}}});
    const std::vector<float> values = read_all_f32(*made, made->tensors()[0]);
    backend_.upload(*buffers_[i], 0, values.data(), value.bytes());
  }
}

double Loaded::run(OpTimes* times) {
  const double start = now();
  backend_.run(*executable_, *arena_, bindings_, {nullptr, times});
  return now() - start;
}

}  // namespace sdgen::bench
