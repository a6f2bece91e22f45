#pragma once
// A thread block as fibres on one host thread: what kernels do together (barriers, shuffles, asynchronous copies) works as
// on a card, or fails with an error that says why. The order in which the threads run can be turned around, and copies
// can be made as early or as late as the language allows: code that leans on one of these shows by its results.
#include <cstdint>
#include <cstring>
#include <deque>
#include <functional>
#include <string>
#include <vector>

namespace sdgen::cuda::emulation {

struct Index3 {
  unsigned x = 1, y = 1, z = 1;
  unsigned count() const { return x * y * z; }
};

inline constexpr unsigned kWarp = 32;

struct Schedule {
  bool backward = false;     // threads (and blocks) run from the last to the first
  bool warp_first = false;   // a warp runs as far as it can before another does
  bool eager_copies = false; // cp.async copies when it is issued, not when it is waited for
};

struct Copy {
  unsigned char* to;
  const unsigned char* from;
  unsigned bytes, valid;  // the rest is zeros
};

/// One thread of the block.
struct Fibre {
  Index3 thread{};
  unsigned index = 0;            // in the block
  void* stack_pointer = nullptr;
  bool done = false, at_barrier = false;
  unsigned barriers = 0;         // passed
  std::vector<Copy> open_group;
  std::deque<std::vector<Copy>> groups;  // committed, oldest first
};

/// Where the lanes of a warp meet.
struct Meeting {
  unsigned arrived = 0;
  uint64_t generation = 0;
  const void* operation = nullptr;
  unsigned char in[kWarp][64], out[kWarp][64];
};

class Block {
 public:
  Block(Index3 block_size, unsigned shared_bytes, const Schedule& schedule);
  /// Runs all threads of one block. Throws kInternal for what would be undefined on a card.
  void run(const std::function<void()>& body, Index3 grid, Index3 block);

  void sync_threads();
  /// All 32 lanes give `in`; the last to come makes every lane's `out`.
  void meet(const void* operation, const void* in, size_t in_bytes, void* out, size_t out_bytes, void (*combine)(Meeting&));
  void copy_async(const Copy& copy);
  void commit_copies();
  void wait_copies(size_t left);

  unsigned char* shared() { return shared_; }
  Fibre& current() { return fibres_[current_]; }
  Index3 grid{}, block{}, block_size{};

  static Block& running();

 private:
  static void enter();
  void yield();
  unsigned after(unsigned fibre) const;
  void switch_to(void** from, unsigned next);
  void fail(const std::string& why);
  void check_end(const Fibre& fibre);

  std::vector<Fibre> fibres_;
  std::vector<unsigned char> stacks_, shared_memory_;
  unsigned char* shared_ = nullptr;
  unsigned shared_bytes_;
  Schedule schedule_;
  std::vector<Meeting> meetings_;
  const std::function<void()>* body_ = nullptr;
  unsigned current_ = 0, live_ = 0, waiting_ = 0, barrier_generation_ = 0;
  uint64_t idle_ = 0;
  void* home_ = nullptr;
  std::string failure_;
};

}  // namespace sdgen::cuda::emulation
