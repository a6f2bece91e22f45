// Liveness, then offsets in one arena: largest values first, each at the lowest offset free over its whole life.
#include <algorithm>

#include "graph/program.h"

namespace sdgen {
namespace {

constexpr int64_t kAlignment = 64;

int64_t aligned(int64_t bytes) { return (bytes + kAlignment - 1) / kAlignment * kAlignment; }

void find_lives(Program& program) {
  for (Value& value : program.values) value.first = value.last = -1;
  for (int n = 0; n < static_cast<int>(program.nodes.size()); ++n) {
    const Node& node = program.nodes[static_cast<size_t>(n)];
    Value& out = program.values[static_cast<size_t>(node.output)];
    out.first = out.last = n;
    for (ValueId id : node.inputs) program.values[static_cast<size_t>(id)].last = n;
  }
}

int64_t largest_live_sum(const Program& program) {
  std::vector<int64_t> change(program.nodes.size() + 1, 0);
  for (const Value& value : program.values) {
    if (value.kind != ValueKind::kIntermediate || value.first < 0) continue;
    change[static_cast<size_t>(value.first)] += value.bytes();
    change[static_cast<size_t>(value.last) + 1] -= value.bytes();
  }
  int64_t live = 0, largest = 0;
  for (int64_t c : change) largest = std::max(largest, live += c);
  return largest;
}

bool lives_overlap(const Value& a, const Value& b) { return a.first <= b.last && b.first <= a.last; }

/// The lowest offset at which `value` collides with none of the placed values that live at the same time.
int64_t lowest_free_offset(const Value& value, const std::vector<const Value*>& placed) {
  std::vector<const Value*> rivals;
  for (const Value* other : placed) {
    if (lives_overlap(value, *other)) rivals.push_back(other);
  }
  std::sort(rivals.begin(), rivals.end(), [](const Value* a, const Value* b) { return a->offset < b->offset; });
  int64_t offset = 0;
  for (const Value* rival : rivals) {
    if (rival->offset - offset >= aligned(value.bytes())) break;
    offset = std::max(offset, rival->offset + aligned(rival->bytes()));
  }
  return offset;
}

}  // namespace

void plan_memory(Program& program) {
  find_lives(program);
  program.live_bytes = largest_live_sum(program);

  std::vector<Value*> order;
  for (Value& value : program.values) {
    value.offset = -1;
    if (value.kind == ValueKind::kIntermediate && value.first >= 0) order.push_back(&value);
  }
  std::stable_sort(order.begin(), order.end(), [](const Value* a, const Value* b) { return a->bytes() > b->bytes(); });

  std::vector<const Value*> placed;
  program.arena_bytes = 0;
  for (Value* value : order) {
    value->offset = lowest_free_offset(*value, placed);
    placed.push_back(value);
    program.arena_bytes = std::max(program.arena_bytes, value->offset + aligned(value->bytes()));
  }
}

}  // namespace sdgen
