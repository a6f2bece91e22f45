#pragma once
// The thread and the queue of one model. Knows nothing of JavaScript: it computes, keeps what came out and rings.
#include <atomic>
#include <condition_variable>
#include <functional>
#include <list>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <variant>
#include <vector>

#include "engine/engine.h"

namespace sdgen {

struct Failure {
  ErrorCode code = ErrorCode::kInternal;
  std::string message;
};

/// What the exception now being handled means. Call it from a catch block.
Failure current_failure() noexcept;

struct LoadEvent {
  uint64_t loaded = 0, total = 0;
};
struct ImageEvent {
  int done = 0;
};
using Event = std::variant<LoadEvent, StepEvent, ImageEvent>;

/// One call. The worker runs it; the JavaScript thread looks at it when the bell has rung.
class Task {
 public:
  using Work = std::function<void(std::unique_ptr<Engine>& engine, Task& task)>;

  explicit Task(Work work) : work_(std::move(work)) {}

  /// For RunControl: read by the engine at least once an evaluation.
  const std::atomic<bool>* cancelled() const noexcept { return &cancelled_; }
  /// Worker: replaces an event that was not taken yet, so that a slow listener never piles events up. A preview that
  /// was asked for goes on with the next event.
  void report(const Event& event) noexcept;
  /// JavaScript thread: the newest event, once. Ask finished() first: then no event can come after the last one.
  std::optional<Event> take_event() noexcept;
  /// Worker: waits for the JavaScript thread's answer to the call. Throws kCancelled.
  void ask(const std::shared_ptr<HookCall>& call);
  /// JavaScript thread: the call that waits for an answer, once. The worker leaves it behind when the task is cancelled.
  std::shared_ptr<HookCall> take_question() noexcept;
  void answer() noexcept;
  bool finished() const noexcept { return finished_.load(std::memory_order_acquire); }
  /// Only once finished: why it failed, if it did.
  const std::optional<Failure>& failure() const noexcept { return failure_; }

 private:
  friend class Worker;
  void run(std::unique_ptr<Engine>& engine) noexcept;
  void finish(std::optional<Failure> failure) noexcept;
  void request_cancel() noexcept;

  Work work_;
  std::atomic<bool> cancelled_ = false;
  std::atomic<bool> finished_ = false;
  std::mutex mutex_;
  std::condition_variable answer_given_;
  std::optional<Event> event_;          // guarded by mutex_
  std::shared_ptr<HookCall> question_;  // guarded by mutex_
  bool answered_ = false;               // guarded by mutex_
  std::optional<Failure> failure_;      // written before finished_
  std::function<void()> ring_;          // set by Worker::submit, before the worker sees the task
};

/// Every member function is for the JavaScript thread; none waits for the engine but join().
class Worker {
 public:
  /// Starts the thread. `ring` is called from it whenever a task has news; it must not throw or wait.
  explicit Worker(std::function<void()> ring);
  /// Cancels what runs and waits for the thread.
  ~Worker();
  Worker(const Worker&) = delete;
  Worker& operator=(const Worker&) = delete;

  /// Runs after all that wait already. A closed worker refuses it with kClosed.
  void submit(const std::shared_ptr<Task>& task);
  /// A waiting task fails with kCancelled at once; a running one is asked to stop; a finished one stays as it is.
  void cancel(const std::shared_ptr<Task>& task);
  /// Cancels what runs, refuses what waits, ends the thread; `farewell`, where given, finishes as its last act.
  void close(const std::shared_ptr<Task>& farewell = nullptr);
  bool closed() const;
  /// Waits for the thread of a closed worker.
  void join();

 private:
  void run() noexcept;
  std::shared_ptr<Task> next();

  const std::function<void()> ring_;
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::list<std::shared_ptr<Task>> waiting_;
  std::shared_ptr<Task> running_;
  std::vector<std::shared_ptr<Task>> farewells_;
  bool closed_ = false, gone_ = false;
  std::thread thread_;
};

}  // namespace sdgen
