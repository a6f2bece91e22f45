#include "backends/cuda/emulation/block.h"

#include <algorithm>

#include "backends/cuda/emulation/fibre.h"
#include "base/error.h"

namespace sdgen::cuda::emulation {
namespace {

constexpr size_t kStackBytes = 64 << 10;
constexpr size_t kGuard = 256;           // bytes after shared memory that must stay as they are
constexpr unsigned char kPoison = 0xff;  // of shared memory: NaN in every float type
thread_local Block* running_block = nullptr;

}  // namespace

Block& Block::running() { return *running_block; }

Block::Block(Index3 size, unsigned shared_bytes, const Schedule& schedule)
    : block_size(size), fibres_(size.count()), stacks_(size.count() * kStackBytes), shared_memory_(shared_bytes + kGuard + 128),
      shared_bytes_(shared_bytes), schedule_(schedule), meetings_(size.count() / kWarp) {
  if (size.count() == 0 || size.count() > 1024 || size.count() % kWarp != 0) {
    throw Error(ErrorCode::kInternal, "a block of " + std::to_string(size.count()) + " threads: whole warps, at most 1024");
  }
  const auto address = reinterpret_cast<uintptr_t>(shared_memory_.data());
  shared_ = shared_memory_.data() + ((128 - address % 128) % 128);
}

void Block::enter() {
  Block& block = running();
  try {
    (*block.body_)();
  } catch (const std::exception& error) {
    block.fail(error.what());
  }
  Fibre& fibre = block.current();
  block.check_end(fibre);
  fibre.done = true;
  --block.live_;
  block.idle_ = 0;
  void* unused = nullptr;
  if (block.live_ == 0 || !block.failure_.empty()) switch_fibre(&unused, block.home_);
  unsigned next = block.current_;
  do next = (next + 1) % static_cast<unsigned>(block.fibres_.size());
  while (block.fibres_[next].done);
  block.switch_to(&unused, next);
}

/// Every thread of a block passes the same barriers; one that returned early would leave the others waiting.
void Block::check_end(const Fibre& fibre) {
  if (waiting_ != 0 || fibre.barriers != barrier_generation_) fail("a thread returned while others wait at a barrier");
  if (std::any_of(fibre.groups.begin(), fibre.groups.end(), [](const auto& group) { return !group.empty(); }) || !fibre.open_group.empty()) {
    fail("a thread returned before its asynchronous copies were waited for");
  }
}

void Block::run(const std::function<void()>& body, Index3 grid_size, Index3 at) {
  grid = grid_size;
  block = at;
  body_ = &body;
  const auto count = static_cast<unsigned>(fibres_.size());
  live_ = count;
  waiting_ = barrier_generation_ = 0;
  idle_ = 0;
  failure_.clear();
  std::fill(shared_memory_.begin(), shared_memory_.end(), kPoison);
  for (Meeting& meeting : meetings_) meeting = {};
  for (unsigned i = 0; i < count; ++i) {
    Fibre& fibre = fibres_[i];
    const unsigned t = schedule_.backward ? count - 1 - i : i;
    fibre = Fibre{};
    fibre.index = t;
    fibre.thread = {t % block_size.x, t / block_size.x % block_size.y, t / block_size.x / block_size.y};
    fibre.stack_pointer = new_fibre(stacks_.data() + i * kStackBytes, kStackBytes, &Block::enter);
  }
  running_block = this;
  switch_to(&home_, 0);
  running_block = nullptr;
  if (!failure_.empty()) throw Error(ErrorCode::kInternal, failure_);
  const unsigned char* guard = shared_ + shared_bytes_;
  if (std::any_of(guard, guard + kGuard, [](unsigned char b) { return b != kPoison; })) {
    throw Error(ErrorCode::kInternal, "written beyond the shared memory of " + std::to_string(shared_bytes_) + " bytes");
  }
}

void Block::switch_to(void** from, unsigned next) {
  current_ = next;
  switch_fibre(from, fibres_[next].stack_pointer);
}

void Block::fail(const std::string& why) {
  if (!failure_.empty()) return;
  const Index3 t = current().thread;
  failure_ = why + " (thread " + std::to_string(t.x) + ", " + std::to_string(t.y) + " of block " + std::to_string(block.x) + ", " +
             std::to_string(block.y) + ", " + std::to_string(block.z) + ")";
}

/// Whose turn it is: the next one's, or with warp_first that of the next in the warp that does not wait at a barrier.
unsigned Block::after(unsigned fibre) const {
  const auto count = static_cast<unsigned>(fibres_.size());
  const auto runs = [&](unsigned i) { return !fibres_[i].done && !fibres_[i].at_barrier; };
  if (schedule_.warp_first) {
    const unsigned warp = fibre / kWarp * kWarp;
    for (unsigned i = 1; i < kWarp; ++i) {
      if (const unsigned next = warp + (fibre - warp + i) % kWarp; runs(next)) return next;
    }
    for (unsigned i = 0; i < count; ++i) {
      if (const unsigned next = (warp + kWarp + i) % count; next != fibre && runs(next)) return next;
    }
  }
  unsigned next = fibre;
  do next = (next + 1) % count;
  while (fibres_[next].done);
  return next;
}

/// Lets another thread run. If all wait and nothing happens, the block can never end.
void Block::yield() {
  if (++idle_ > 4 * fibres_.size()) fail("all threads wait: not every one comes to the barrier or the warp's operation");
  void* unused = nullptr;
  if (!failure_.empty()) switch_fibre(&unused, home_);
  const unsigned next = after(current_);
  if (next != current_) switch_to(&fibres_[current_].stack_pointer, next);
}

void Block::sync_threads() {
  const unsigned generation = barrier_generation_;
  ++current().barriers;
  if (++waiting_ == fibres_.size()) {
    waiting_ = 0;
    ++barrier_generation_;
    idle_ = 0;
    for (Fibre& fibre : fibres_) fibre.at_barrier = false;
    return;
  }
  current().at_barrier = true;
  while (barrier_generation_ == generation) yield();
}

void Block::meet(const void* operation, const void* in, size_t in_bytes, void* out, size_t out_bytes, void (*combine)(Meeting&)) {
  const unsigned lane = current().index % kWarp;
  Meeting& meeting = meetings_[current().index / kWarp];
  if (meeting.arrived == 0) meeting.operation = operation;
  if (meeting.operation != operation) {
    fail("the lanes of a warp came to different operations");
    yield();
  }
  std::memcpy(meeting.in[lane], in, in_bytes);
  const uint64_t generation = meeting.generation;
  if (++meeting.arrived == kWarp) {
    combine(meeting);
    meeting.arrived = 0;
    ++meeting.generation;
    idle_ = 0;
  } else {
    while (meeting.generation == generation) yield();
  }
  std::memcpy(out, meeting.out[lane], out_bytes);
}

namespace {

void perform(const Copy& copy) {
  std::memcpy(copy.to, copy.from, copy.valid);
  std::memset(copy.to + copy.valid, 0, copy.bytes - copy.valid);
}

}  // namespace

void Block::copy_async(const Copy& copy) {
  if (copy.to < shared_ || copy.to + copy.bytes > shared_ + shared_bytes_) return fail("an asynchronous copy to outside of shared memory");
  if (reinterpret_cast<uintptr_t>(copy.to) % copy.bytes != 0 || (copy.valid > 0 && reinterpret_cast<uintptr_t>(copy.from) % copy.bytes != 0)) {
    return fail("an asynchronous copy that is not aligned to its size");
  }
  if (schedule_.eager_copies) return perform(copy);
  current().open_group.push_back(copy);
}

void Block::commit_copies() {
  current().groups.push_back(std::move(current().open_group));
  current().open_group.clear();
}

void Block::wait_copies(size_t left) {
  auto& groups = current().groups;
  for (; groups.size() > left; groups.pop_front()) {
    for (const Copy& copy : groups.front()) perform(copy);
  }
}

}  // namespace sdgen::cuda::emulation
