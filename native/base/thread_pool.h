#pragma once
// A fixed set of threads for static partitions: which thread does which share never changes a result.
#include <cstdint>
#include <functional>
#include <memory>

namespace sdgen {

class ThreadPool {
 public:
  /// `threads` >= 1, the calling thread included.
  explicit ThreadPool(int threads);
  ~ThreadPool();
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;

  int size() const noexcept;
  /// Calls body(begin, end, thread) for consecutive shares of [0, count), each a multiple of `grain` long but the last,
  /// and returns when all are done. An exception of a share is thrown again here (the lowest share's). Calls of several
  /// threads take turns in the order in which they came; one from within a share of the same pool is refused (kInternal).
  void parallel_for(int64_t count, int64_t grain, const std::function<void(int64_t begin, int64_t end, int thread)>& body);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

/// The process's pool of so many threads: it ends with its last user. Models that share one never run more threads than
/// it has, however many of them compute. Throws as the pool does.
std::shared_ptr<ThreadPool> shared_thread_pool(int threads);

}  // namespace sdgen
