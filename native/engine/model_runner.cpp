#include "engine/model_runner.h"

#include <algorithm>

#include "base/fp_environment.h"

namespace sdgen {
namespace {

constexpr uint64_t kAhead = uint64_t{64} << 20;  // bytes of the file that are asked for before they are needed

void add_profile(std::vector<OpProfile>& profile, const std::string& part, const OpTimes& times, const Program& program) {
  for (size_t kind = 0; kind < times.rows.size(); ++kind) {
    const OpTimes::Row& row = times.rows[kind];
    if (row.calls == 0) continue;
    const auto node = std::find_if(program.nodes.begin(), program.nodes.end(), [&](const Node& n) { return n.op.index() == kind; });
    const std::string op = op_name(node->op);
    auto found = std::find_if(profile.begin(), profile.end(), [&](const OpProfile& p) { return p.part == part && p.op == op; });
    if (found == profile.end()) found = profile.insert(profile.end(), {part, op});
    found->calls += row.calls;
    found->seconds += row.seconds;
    found->flops += row.flops;
    found->bytes += row.bytes;
  }
}

}  // namespace

void throw_if_cancelled(const std::atomic<bool>* cancel) {
  if (cancel != nullptr && cancel->load(std::memory_order_relaxed)) throw Error(ErrorCode::kCancelled, "cancelled");
}

LoadedProgram::LoadedProgram(Backend& backend, Program program, std::vector<Part> parts)
    : backend_(&backend), program_(std::move(program)), parts_(std::move(parts)) {
  for (Part& part : parts_) {
    const Program& stage = part.stage.program;
    for (const auto* list : {&stage.inputs, &stage.outputs}) {
      for (ValueId id : *list) {
        auto& buffer = buffers_[stage.value(id).name];
        if (!buffer) buffer = backend_->allocate(static_cast<uint64_t>(stage.value(id).bytes()));
        part.bindings.push_back({id, buffer.get(), 0});
      }
    }
  }
}

VectorView LoadedProgram::vector(const std::string& name) const {
  return {buffers_.at(name).get(), 0, program_.value(program_.named(name)).shape.elements()};
}

bool LoadedProgram::holds(const std::string& name, const void* values, int64_t bytes) {
  const auto* first = static_cast<const unsigned char*>(values);
  std::vector<unsigned char>& last = uploaded_[name];
  if (static_cast<int64_t>(last.size()) == bytes && std::equal(last.begin(), last.end(), first)) return true;
  last.assign(first, first + bytes);
  return false;
}

void LoadedProgram::upload(const std::string& name, const void* values, int64_t bytes) {
  const ValueId id = program_.named(name);
  if (bytes != program_.value(id).bytes()) {
    throw Error(ErrorCode::kInvalidArgument, "'" + name + "' should be " + program_.value(id).shape.text() + "; it has " +
                                                 std::to_string(bytes / 4) + " values");
  }
  if (program_.value(id).steady) {
    if (holds(name, values, bytes)) return;
    for (Part& part : parts_) {
      if (part.stage.steady == name) part.stale = true;
    }
  }
  backend_->upload(*buffers_.at(name), 0, values, bytes);
}

ModelRunner::ModelRunner(std::shared_ptr<const WeightStore> store, TensorIndex index, std::unique_ptr<Backend> backend)
    : store_(std::move(store)), index_(std::move(index)), backend_(std::move(backend)) {}

std::shared_ptr<const PackedWeight> ModelRunner::packed(const WeightUse& use) {
  auto& slot = weights_[use.name];
  if (!slot) slot = backend_->prepare(use, *store_, *index_.tensors.at(use.name));
  return slot;
}

StageMemory ModelRunner::memory(Program program) const {
  const std::vector<Stage> all = stages(std::move(program));
  StageMemory memory = memory_of(all);
  for (const Stage& stage : all) {
    memory.scratch_bytes = std::max(memory.scratch_bytes, static_cast<int64_t>(backend_->scratch_bytes(stage.program)));
  }
  return memory;
}

LoadedProgram ModelRunner::load(Program program, const std::atomic<bool>* cancel) {
  std::vector<LoadedProgram::Part> parts;
  for (Stage& stage : stages(program)) {
    std::vector<std::shared_ptr<const PackedWeight>> weights;
    for (const WeightUse& use : stage.program.weights) {
      throw_if_cancelled(cancel);
      weights.push_back(packed(use));
    }
    auto executable = backend_->compile(stage.program, std::move(weights));
    parts.push_back({std::move(stage), std::move(executable)});
  }
  return {*backend_, std::move(program), std::move(parts)};
}

void ModelRunner::run(LoadedProgram& program, const RunControl& control) {
  uint64_t needed = 0;
  for (const LoadedProgram::Part& part : program.parts_) needed = std::max(needed, static_cast<uint64_t>(part.stage.program.arena_bytes));
  if (!arena_ || arena_->bytes() < needed) {
    arena_.reset();  // before the new one: never two
    arena_ = backend_->allocate(needed);
  }
  const FpEnvironment environment;
  for (LoadedProgram::Part& part : program.parts_) {
    if (!part.stage.steady.empty() && !part.stale) continue;
    OpTimes times;
    RunOptions options{control.cancel, control.profile != nullptr ? &times : nullptr, control.after_node};
    backend_->run(*part.executable, *arena_, part.bindings, options);
    part.stale = false;
    if (control.profile != nullptr) add_profile(*control.profile, part.stage.program.part, times, part.stage.program);
  }
}

std::vector<const WeightUse*> ModelRunner::in_file_order(const std::vector<WeightUse>& uses) const {
  std::vector<const WeightUse*> order;
  for (const WeightUse& use : uses) order.push_back(&use);
  const auto offset = [&](const WeightUse* use) { return index_.tensors.at(use->name)->offset; };
  std::stable_sort(order.begin(), order.end(), [&](const WeightUse* a, const WeightUse* b) { return offset(a) < offset(b); });
  return order;
}

void ModelRunner::prepare(const std::vector<WeightUse>& uses, const std::atomic<bool>* cancel,
                          const std::function<void(uint64_t, uint64_t)>& on_progress) {
  const uint64_t total = packed_bytes(uses);
  uint64_t loaded = 0, ahead = 0;
  const std::vector<const WeightUse*> order = in_file_order(uses);
  size_t next = 0;
  for (const WeightUse* use : order) {
    throw_if_cancelled(cancel);
    // The system reads what comes next while this one is packed. A thread of ours that read and converted ahead took the
    // packers' cores: loading became slower (docs/performance.md).
    const auto bytes = [&](const WeightUse* u) { return index_.tensors.at(u->name)->bytes; };
    for (; next < order.size() && ahead < kAhead; ++next) {
      if (!weights_.contains(order[next]->name)) store_->prefetch(*index_.tensors.at(order[next]->name));
      ahead += bytes(order[next]);
    }
    packed(*use);
    ahead -= bytes(use);
    loaded += backend_->packed_bytes(*use);
    if (on_progress) on_progress(loaded, total);
  }
}

uint64_t ModelRunner::packed_bytes(const std::vector<WeightUse>& uses) const {
  uint64_t total = 0;
  for (const WeightUse& use : uses) total += backend_->packed_bytes(use);
  return total;
}

}  // namespace sdgen
