#include "bench/loaded.h"

#include <algorithm>
#include <cstring>

#include "base/half.h"
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

std::vector<unsigned char> input_bytes(const Program& program, ValueId input) {
  const Value& value = program.value(input);
  std::vector<unsigned char> bytes(static_cast<size_t>(value.bytes()), 0);
  if (holds_tokens(program, input)) return bytes;
  const int64_t size = element_bytes(value.element), count = value.bytes() / size;
  const auto made = make_weights({{value.name, WeightLayout::kTable, {1, count}}});
  const std::vector<float> values = read_all_f32(*made, made->tensors()[0]);
  // Little-endian: bfloat16 is the upper half of a float32.
  const auto* from = reinterpret_cast<const unsigned char*>(values.data());
  if (value.element == Element::kF16) {
    for (int64_t i = 0; i < count; ++i) {
      const uint16_t half = f32_to_f16(values[static_cast<size_t>(i)]);
      std::memcpy(bytes.data() + i * size, &half, sizeof half);
    }
    return bytes;
  }
  for (int64_t i = 0; i < count; ++i) std::memcpy(bytes.data() + i * size, from + 4 * i + (4 - size), static_cast<size_t>(size));
  return bytes;
}

LoadedOp::LoadedOp(Backend& backend, Program program) : backend_(backend), program_(std::move(program)) {
  const auto store = make_weights(program_.weights);
  std::vector<std::shared_ptr<const PackedWeight>> weights;
  for (const WeightUse& use : program_.weights) weights.push_back(backend_.prepare(use, *store, *store->find(use.name)));
  executable_ = backend_.compile(program_, std::move(weights));
  arena_ = backend_.allocate(static_cast<uint64_t>(program_.arena_bytes));
  for (const auto* list : {&program_.inputs, &program_.outputs}) {
    for (ValueId id : *list) {
      buffers_.push_back(backend_.allocate(static_cast<uint64_t>(program_.value(id).bytes())));
      bindings_.push_back({id, buffers_.back().get(), 0});
    }
  }
  for (size_t i = 0; i < program_.inputs.size(); ++i) {
    const std::vector<unsigned char> bytes = input_bytes(program_, program_.inputs[i]);
    backend_.upload(*buffers_[i], 0, bytes.data(), static_cast<int64_t>(bytes.size()));
  }
}

double LoadedOp::run(int times) {
  const double start = now();
  for (int i = 0; i < times; ++i) backend_.run(*executable_, *arena_, bindings_, {});
  // A device works on while the call is back: what it wrote last is there when it is done.
  unsigned char last = 0;
  backend_.download(*bindings_.back().buffer, 0, &last, 1);
  return now() - start;
}

}  // namespace sdgen::bench
