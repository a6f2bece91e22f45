#include "graph/stages.h"

#include <algorithm>
#include <map>

namespace sdgen {
namespace {

constexpr size_t kEveryRun = SIZE_MAX;

/// For every value the steady input that is its only source (an index into program.inputs), or kEveryRun.
std::vector<size_t> find_sources(const Program& program) {
  std::vector<size_t> source(program.values.size(), kEveryRun);
  for (size_t i = 0; i < program.inputs.size(); ++i) {
    if (program.value(program.inputs[i]).steady) source[static_cast<size_t>(program.inputs[i])] = i;
  }
  for (const Node& node : program.nodes) {
    const size_t first = node.inputs.empty() ? kEveryRun : source[static_cast<size_t>(node.inputs[0])];
    const bool alike = std::all_of(node.inputs.begin(), node.inputs.end(), [&](ValueId id) { return source[static_cast<size_t>(id)] == first; });
    source[static_cast<size_t>(node.output)] = alike ? first : kEveryRun;
  }
  return source;
}

/// Values written by one stage and read by another.
std::vector<bool> find_crossings(const Program& program, const std::vector<size_t>& source) {
  std::vector<bool> crosses(program.values.size(), false);
  for (const Node& node : program.nodes) {
    for (ValueId id : node.inputs) {
      if (source[static_cast<size_t>(id)] != source[static_cast<size_t>(node.output)]) crosses[static_cast<size_t>(id)] = true;
    }
  }
  return crosses;
}

/// Takes the nodes of one source out of a program, with what they read and write.
class Extraction {
 public:
  Extraction(const Program& from, const std::vector<bool>& crosses) : from_(from), crosses_(crosses) { to_.part = from.part; }

  void add(const Node& node) {
    Node copy = node;
    for (ValueId& id : copy.inputs) id = place(id, false);
    copy.output = place(node.output, true);
    for (int32_t& weight : copy.weights) {
      const auto [at, fresh] = weights_.emplace(weight, static_cast<int32_t>(to_.weights.size()));
      if (fresh) to_.weights.push_back(from_.weights[static_cast<size_t>(weight)]);
      weight = at->second;
    }
    to_.flops += node.flops;
    to_.nodes.push_back(std::move(copy));
  }

  Program finish() {
    plan_memory(to_);
    return std::move(to_);
  }

 private:
  ValueId place(ValueId id, bool written) {
    const auto [at, fresh] = places_.emplace(id, static_cast<ValueId>(to_.values.size()));
    if (!fresh) return at->second;
    Value value = from_.value(id);
    const bool crosses = value.kind == ValueKind::kIntermediate && crosses_[static_cast<size_t>(id)];
    if (crosses) value.name = "steady." + std::to_string(id);
    if (crosses) value.kind = ValueKind::kOutput;
    if (!written && value.kind != ValueKind::kIntermediate) value.kind = ValueKind::kInput;
    if (value.kind == ValueKind::kInput) to_.inputs.push_back(at->second);
    if (value.kind == ValueKind::kOutput) to_.outputs.push_back(at->second);
    to_.values.push_back(std::move(value));
    return at->second;
  }

  const Program& from_;
  const std::vector<bool>& crosses_;
  Program to_;
  std::map<ValueId, ValueId> places_;
  std::map<int32_t, int32_t> weights_;
};

}  // namespace

std::vector<Stage> split_stages(Program program) {
  const std::vector<size_t> source = find_sources(program);
  const auto source_of = [&](const Node& node) { return source[static_cast<size_t>(node.output)]; };
  std::vector<size_t> steady;
  for (size_t i = 0; i < program.inputs.size(); ++i) {
    if (std::any_of(program.nodes.begin(), program.nodes.end(), [&](const Node& node) { return source_of(node) == i; })) steady.push_back(i);
  }
  std::vector<Stage> stages;
  if (steady.empty()) {
    stages.push_back({std::move(program), {}});
    return stages;
  }
  const std::vector<bool> crosses = find_crossings(program, source);
  steady.push_back(kEveryRun);
  for (const size_t wanted : steady) {
    Extraction stage(program, crosses);
    for (const Node& node : program.nodes) {
      if (source_of(node) == wanted) stage.add(node);
    }
    Program part = stage.finish();
    if (!part.nodes.empty()) stages.push_back({std::move(part), wanted == kEveryRun ? "" : program.value(program.inputs[wanted]).name});
  }
  return stages;
}

StageMemory memory_of(const std::vector<Stage>& stages) {
  StageMemory memory;
  std::map<std::string, int64_t> bound;  // stages share what they hand on
  for (const Stage& stage : stages) {
    memory.arena_bytes = std::max(memory.arena_bytes, stage.program.arena_bytes);
    memory.live_bytes = std::max(memory.live_bytes, stage.program.live_bytes);
    memory.flops += stage.program.flops;
    for (const auto* list : {&stage.program.inputs, &stage.program.outputs}) {
      for (ValueId id : *list) bound[stage.program.value(id).name] = stage.program.value(id).bytes();
    }
  }
  for (const auto& [name, bytes] : bound) memory.bound_bytes += bytes;
  return memory;
}

}  // namespace sdgen
