// Liveness, then offsets in one arena: value by value at the lowest offset that is free over its whole life. Which value
// goes first decides how tight it gets and no order is best for every program: several are tried, the smallest arena kept.
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

using Before = bool (*)(const Value& a, const Value& b);

bool larger(const Value& a, const Value& b) { return a.bytes() > b.bytes(); }
bool larger_area(const Value& a, const Value& b) {
  const auto area = [](const Value& v) { return static_cast<double>(v.bytes()) * (v.last - v.first + 1); };
  return area(a) > area(b);
}
bool longer(const Value& a, const Value& b) {
  const int la = a.last - a.first, lb = b.last - b.first;
  return la != lb ? la > lb : a.bytes() > b.bytes();
}
bool earlier(const Value& a, const Value& b) { return a.first < b.first; }
bool later(const Value& a, const Value& b) { return a.last > b.last; }

/// Places the values in that order; the arena they need.
int64_t place(std::vector<Value*> values, Before before) {
  std::stable_sort(values.begin(), values.end(), [&](const Value* a, const Value* b) { return before(*a, *b); });
  std::vector<const Value*> placed;
  int64_t arena = 0;
  for (Value* value : values) {
    value->offset = lowest_free_offset(*value, placed);
    placed.push_back(value);
    arena = std::max(arena, value->offset + aligned(value->bytes()));
  }
  return arena;
}

}  // namespace

void plan_memory(Program& program) {
  find_lives(program);
  program.live_bytes = largest_live_sum(program);

  std::vector<Value*> values;
  for (Value& value : program.values) {
    value.offset = -1;
    if (value.kind == ValueKind::kIntermediate && value.first >= 0) values.push_back(&value);
  }
  std::vector<int64_t> best;
  program.arena_bytes = 0;
  for (const Before before : {larger, larger_area, longer, earlier, later}) {
    const int64_t arena = place(values, before);
    if (!best.empty() && arena >= program.arena_bytes) continue;
    program.arena_bytes = arena;
    best.clear();
    for (const Value* value : values) best.push_back(value->offset);
    if (arena == program.live_bytes) break;  // nothing can be smaller
  }
  for (size_t i = 0; i < values.size(); ++i) values[i]->offset = best[i];
}

}  // namespace sdgen
