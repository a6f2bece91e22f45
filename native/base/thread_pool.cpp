#include "base/thread_pool.h"

#include <algorithm>
#include <condition_variable>
#include <exception>
#include <map>
#include <mutex>
#include <string>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

#include "base/error.h"
#include "base/fp_environment.h"

namespace sdgen {

namespace {

using Body = std::function<void(int64_t begin, int64_t end, int thread)>;

constexpr int kMaxThreads = 1024;

/// One parallel_for: share t is units [first_unit(t), first_unit(t + 1)) of `grain` elements each.
struct Round {
  const Body* body = nullptr;
  int64_t count = 0, grain = 1;
  int64_t units_each = 0, units_left = 0;  // the first `units_left` shares have one unit more
  int shares = 0;

  int64_t begin_of(int share) const noexcept {
    const int64_t unit = share * units_each + std::min<int64_t>(share, units_left);
    // Only the end of the last share can pass `count`; units · grain may overflow there.
    return share == shares ? count : unit * grain;
  }
};

Round make_round(const Body& body, int64_t count, int64_t grain, int threads) {
  Round round;
  round.body = &body;
  round.count = count;
  round.grain = grain;
  const int64_t units = count / grain + (count % grain != 0 ? 1 : 0);
  round.shares = static_cast<int>(std::min<int64_t>(units, threads));
  round.units_each = units / round.shares;
  round.units_left = units % round.shares;
  return round;
}

}  // namespace

struct ThreadPool::State {
  std::mutex mutex;
  std::condition_variable start, finish, turn;
  // Guarded by the mutex:
  uint64_t generation = 0;
  // Callers take turns in the order in which they came: whoever calls again at once must not shut out the others.
  uint64_t next_ticket = 0, served_ticket = 0;
  bool closing = false;
  int pending = 0;
  Round round;
  // errors[t] is written by share t alone and read when all are done.
  std::vector<std::exception_ptr> errors;
  std::vector<std::thread> workers;

  /// The pool whose share this thread is working at.
  static thread_local const State* working_for;

  explicit State(int threads) : errors(static_cast<size_t>(threads)) {
    try {
      for (int thread = 1; thread < threads; ++thread) workers.emplace_back([this, thread] { work(thread); });
    } catch (const std::system_error& error) {
      close();
      throw Error(ErrorCode::kOutOfMemory, "could not start " + std::to_string(threads) + " threads (" +
                                               error.code().message() + "): use fewer");
    }
  }

  void close() {
    {
      const std::lock_guard<std::mutex> lock(mutex);
      closing = true;
    }
    start.notify_all();
    for (std::thread& worker : workers) worker.join();
    workers.clear();
  }

  void run_share(const Round& current, int share) noexcept {
    const State* outer = std::exchange(working_for, this);
    try {
      (*current.body)(current.begin_of(share), current.begin_of(share + 1), share);
    } catch (...) {
      errors[static_cast<size_t>(share)] = std::current_exception();
    }
    working_for = outer;
  }

  void work(int thread) {
    const FpEnvironment environment;
    uint64_t seen = 0;
    std::unique_lock<std::mutex> lock(mutex);
    for (;;) {
      start.wait(lock, [&] { return closing || generation != seen; });
      if (closing) return;
      seen = generation;
      if (thread >= round.shares) continue;
      // A copy: a round that this thread has no share in may begin only after this one ended, but does not wait for it.
      const Round current = round;
      lock.unlock();
      run_share(current, thread);
      lock.lock();
      if (--pending == 0) finish.notify_one();
    }
  }

  void run(const Round& next) {
    if (working_for == this) throw Error(ErrorCode::kInternal, "parallel_for was called from within another of the same pool");
    {
      std::unique_lock<std::mutex> lock(mutex);
      const uint64_t ticket = next_ticket++;
      turn.wait(lock, [&] { return served_ticket == ticket; });
      std::fill(errors.begin(), errors.end(), nullptr);
      if (next.shares > 1) {
        round = next;
        pending = next.shares - 1;
        ++generation;
      }
    }
    if (next.shares > 1) start.notify_all();
    {
      const FpEnvironment environment;
      run_share(next, 0);
    }
    std::exception_ptr error;
    {
      std::unique_lock<std::mutex> lock(mutex);
      finish.wait(lock, [&] { return pending == 0; });
      ++served_ticket;
      // Moved out: the exception must not outlive the call through the pool, nor be seen by the next.
      for (std::exception_ptr& candidate : errors) {
        if (error == nullptr) error = std::move(candidate);
        candidate = nullptr;
      }
    }
    turn.notify_all();
    if (error != nullptr) std::rethrow_exception(error);
  }
};

thread_local const ThreadPool::State* ThreadPool::State::working_for = nullptr;

ThreadPool::ThreadPool(int threads) {
  if (threads < 1 || threads > kMaxThreads) {
    throw Error(ErrorCode::kInvalidArgument,
                "threads must be 1 to " + std::to_string(kMaxThreads) + ", got " + std::to_string(threads));
  }
  state_ = std::make_unique<State>(threads);
}

ThreadPool::~ThreadPool() { state_->close(); }

int ThreadPool::size() const noexcept { return static_cast<int>(state_->errors.size()); }

void ThreadPool::parallel_for(int64_t count, int64_t grain, const Body& body) {
  if (count < 0 || grain < 1) {
    throw Error(ErrorCode::kInternal, "parallel_for needs count >= 0 and grain >= 1, got " + std::to_string(count) +
                                          " and " + std::to_string(grain));
  }
  if (count == 0) return;
  state_->run(make_round(body, count, grain, size()));
}

std::shared_ptr<ThreadPool> shared_thread_pool(int threads) {
  static std::mutex mutex;
  static std::map<int, std::weak_ptr<ThreadPool>> pools;
  const std::lock_guard<std::mutex> lock(mutex);
  std::weak_ptr<ThreadPool>& known = pools[threads];
  std::shared_ptr<ThreadPool> pool = known.lock();
  if (pool == nullptr) known = pool = std::make_shared<ThreadPool>(threads);
  return pool;
}

}  // namespace sdgen
