// The queue of one model's calls, without an engine and without Node: order, cancelling, closing, events.
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "check.h"
#include "engine/worker.h"

namespace {

using sdgen::ErrorCode;
using sdgen::Task;
using sdgen::Worker;

/// Waits until a bell has made `condition` true.
class Bell {
 public:
  std::function<void()> ring() {
    return [this] {
      const std::lock_guard lock(mutex_);
      ++rings_;
      changed_.notify_all();
    };
  }
  template <typename Condition>
  void await(Condition condition) {
    std::unique_lock lock(mutex_);
    while (!condition()) changed_.wait_for(lock, std::chrono::milliseconds(20));
  }
  int rings() {
    const std::lock_guard lock(mutex_);
    return rings_;
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  int rings_ = 0;
};

std::shared_ptr<Task> task(Task::Work work) { return std::make_shared<Task>(std::move(work)); }

/// Runs until it is cancelled, as an engine does.
std::shared_ptr<Task> endless(std::atomic<bool>& running) {
  return task([&running](std::unique_ptr<sdgen::Engine>&, Task& self) {
    running = true;
    while (!*self.cancelled()) std::this_thread::yield();
    throw sdgen::Error(ErrorCode::kCancelled, "stopped");
  });
}

ErrorCode code_of(const Task& finished) { return finished.failure() ? finished.failure()->code : ErrorCode::kInternal; }

}  // namespace

TEST(worker_runs_calls_in_order_and_keeps_what_they_throw) {
  Bell bell;
  Worker worker(bell.ring());
  std::vector<int> order;
  std::vector<std::shared_ptr<Task>> tasks;
  for (int i = 0; i < 3; ++i) {
    tasks.push_back(task([&order, i](std::unique_ptr<sdgen::Engine>&, Task&) {
      order.push_back(i);
      if (i == 1) throw sdgen::Error(ErrorCode::kNonFinite, "in call 1");
      if (i == 2) throw std::bad_alloc();
    }));
    worker.submit(tasks.back());
  }
  bell.await([&] { return tasks.back()->finished(); });
  CHECK((order == std::vector{0, 1, 2}));
  CHECK(!tasks[0]->failure());
  CHECK(code_of(*tasks[1]) == ErrorCode::kNonFinite && tasks[1]->failure()->message == "in call 1");
  CHECK(code_of(*tasks[2]) == ErrorCode::kOutOfMemory);
  CHECK(bell.rings() >= 3);
}

TEST(worker_cancels_what_runs_and_takes_out_what_waits) {
  Bell bell;
  Worker worker(bell.ring());
  std::atomic<bool> running = false, ran = false;
  const auto first = endless(running);
  const auto waiting = task([&](std::unique_ptr<sdgen::Engine>&, Task&) { ran = true; });
  const auto last = task([](std::unique_ptr<sdgen::Engine>&, Task&) {});
  for (const auto& one : {first, waiting, last}) worker.submit(one);
  bell.await([&] { return running.load(); });
  worker.cancel(waiting);
  CHECK(waiting->finished() && code_of(*waiting) == ErrorCode::kCancelled);
  CHECK(!first->finished());
  worker.cancel(first);
  bell.await([&] { return last->finished(); });
  CHECK(code_of(*first) == ErrorCode::kCancelled && !last->failure() && !ran);
  worker.cancel(last);  // finished: stays as it is
  CHECK(!last->failure());
}

TEST(worker_closing_cancels_refuses_and_says_farewell) {
  Bell bell;
  Worker worker(bell.ring());
  std::atomic<bool> running = false;
  const auto first = endless(running);
  const auto waiting = task([](std::unique_ptr<sdgen::Engine>&, Task&) {});
  worker.submit(first);
  worker.submit(waiting);
  bell.await([&] { return running.load(); });
  const auto farewell = task(nullptr), again = task(nullptr), late = task([](std::unique_ptr<sdgen::Engine>&, Task&) {});
  worker.close(farewell);
  CHECK(worker.closed() && code_of(*waiting) == ErrorCode::kClosed);
  worker.submit(late);
  CHECK(late->finished() && code_of(*late) == ErrorCode::kClosed);
  bell.await([&] { return farewell->finished(); });
  CHECK(!farewell->failure() && code_of(*first) == ErrorCode::kCancelled);
  worker.join();
  worker.close(again);
  CHECK(again->finished() && !again->failure());
}

TEST(worker_events_replace_each_other_but_a_preview_goes_on) {
  const auto none = task(nullptr);
  Worker worker([] {});
  Bell bell;
  const auto reporting = task([](std::unique_ptr<sdgen::Engine>&, Task& self) {
    self.report(sdgen::StepEvent{1, 3, 1, 9.0F, {}});
    self.report(sdgen::StepEvent{2, 3, 2, 5.0F, std::make_shared<const sdgen::Latent>(sdgen::Latent{{1.0F}, 1, 1, 1, 1})});
    self.report(sdgen::StepEvent{3, 3, 3, 1.0F, {}});
  });
  worker.submit(reporting);
  bell.await([&] { return reporting->finished(); });
  const auto event = reporting->take_event();
  CHECK(event.has_value());
  const auto& step = std::get<sdgen::StepEvent>(*event);
  CHECK(step.step == 3 && step.preview && step.preview->data[0] == 1.0F);
  CHECK(!reporting->take_event());
  CHECK(!none->take_event());
}
