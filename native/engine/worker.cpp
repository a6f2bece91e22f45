#include "engine/worker.h"

#include <algorithm>
#include <new>
#include <utility>

#include "base/fp_environment.h"

namespace sdgen {

namespace {

/// Without room for the message, a failure with none.
Failure make_failure(ErrorCode code, const char* message) noexcept {
  try {
    return {code, message};
  } catch (const std::bad_alloc&) {
    return {code, {}};
  }
}

}  // namespace

Failure current_failure() noexcept {
  try {
    throw;
  } catch (const Error& error) {
    return make_failure(error.code(), error.what());
  } catch (const std::bad_alloc&) {
    return make_failure(ErrorCode::kOutOfMemory, "out of memory");
  } catch (const std::length_error&) {  // a container asked for more than an address space
    return make_failure(ErrorCode::kOutOfMemory, "out of memory");
  } catch (const std::exception& error) {
    return make_failure(ErrorCode::kInternal, error.what());
  } catch (...) {
    return make_failure(ErrorCode::kInternal, "unexpected native exception of an unknown type");
  }
}

void Task::report(const Event& event) noexcept {
  {
    const std::lock_guard lock(mutex_);
    std::shared_ptr<const Latent> missed;
    if (const auto* old = event_ ? std::get_if<StepEvent>(&*event_) : nullptr) missed = old->preview;
    event_ = event;
    if (auto* step = std::get_if<StepEvent>(&*event_); step && !step->preview) step->preview = std::move(missed);
  }
  ring_();
}

std::optional<Event> Task::take_event() noexcept {
  const std::lock_guard lock(mutex_);
  return std::exchange(event_, std::nullopt);
}

void Task::ask(const std::shared_ptr<HookCall>& call) {
  {
    const std::lock_guard lock(mutex_);
    question_ = call;
    answered_ = false;
  }
  ring_();
  std::unique_lock lock(mutex_);
  answer_given_.wait(lock, [this] { return answered_ || cancelled_; });
  question_ = nullptr;
  if (!answered_) throw Error(ErrorCode::kCancelled, "cancelled");
}

std::shared_ptr<HookCall> Task::take_question() noexcept {
  const std::lock_guard lock(mutex_);
  return std::exchange(question_, nullptr);
}

void Task::answer() noexcept {
  const std::lock_guard lock(mutex_);
  answered_ = true;
  answer_given_.notify_one();
}

void Task::request_cancel() noexcept {
  const std::lock_guard lock(mutex_);
  cancelled_ = true;
  answer_given_.notify_one();
}

void Task::run(std::unique_ptr<Engine>& engine) noexcept {
  try {
    work_(engine, *this);
  } catch (...) {
    finish(current_failure());
    return;
  }
  finish(std::nullopt);
}

void Task::finish(std::optional<Failure> failure) noexcept {
  work_ = nullptr;  // the copied request goes now, not when JavaScript comes round
  failure_ = std::move(failure);
  finished_.store(true, std::memory_order_release);
}

Worker::Worker(std::function<void()> ring) : ring_(std::move(ring)), thread_([this] { run(); }) {}

Worker::~Worker() {
  close();
  join();
}

void Worker::submit(const std::shared_ptr<Task>& task) {
  task->ring_ = ring_;
  {
    const std::lock_guard lock(mutex_);
    if (!closed_) {
      waiting_.push_back(task);
      changed_.notify_one();
      return;
    }
  }
  task->finish(make_failure(ErrorCode::kClosed, "the model is closed"));
  ring_();
}

void Worker::cancel(const std::shared_ptr<Task>& task) {
  {
    const std::lock_guard lock(mutex_);
    task->request_cancel();
    const auto place = std::find(waiting_.begin(), waiting_.end(), task);
    if (place == waiting_.end()) return;
    waiting_.erase(place);
  }
  task->finish(make_failure(ErrorCode::kCancelled, "cancelled before it began"));
  ring_();
}

void Worker::close(const std::shared_ptr<Task>& farewell) {
  std::list<std::shared_ptr<Task>> refused;
  {
    const std::lock_guard lock(mutex_);
    if (closed_ && !farewell) return;  // also keeps the destructor of a closed worker from ringing
    if (farewell && gone_) farewell->finish(std::nullopt);
    if (farewell && !gone_) farewells_.push_back(farewell);
    closed_ = true;
    if (running_) running_->request_cancel();
    refused.swap(waiting_);
    changed_.notify_one();
  }
  for (const auto& task : refused) {
    task->finish(make_failure(ErrorCode::kClosed, "the model was closed before this call began"));
  }
  ring_();
}

bool Worker::closed() const {
  const std::lock_guard lock(mutex_);
  return closed_;
}

void Worker::join() {
  if (thread_.joinable()) thread_.join();
}

std::shared_ptr<Task> Worker::next() {
  std::unique_lock lock(mutex_);
  running_ = nullptr;
  changed_.wait(lock, [this] { return closed_ || !waiting_.empty(); });
  if (closed_) return nullptr;
  running_ = std::move(waiting_.front());
  waiting_.pop_front();
  return running_;
}

void Worker::run() noexcept {
  {
    const FpEnvironment fp_environment;
    std::unique_ptr<Engine> engine;  // lives and dies on this thread
    while (const std::shared_ptr<Task> task = next()) {
      task->run(engine);
      ring_();
    }
  }
  {
    const std::lock_guard lock(mutex_);
    gone_ = true;
    for (const auto& farewell : farewells_) farewell->finish(std::nullopt);
    farewells_.clear();
  }
  ring_();
}

}  // namespace sdgen
