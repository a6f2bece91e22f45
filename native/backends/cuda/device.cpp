#include "backends/cuda/device.h"

#include <algorithm>
#include <cstdio>
#include <cstring>

#include "base/error.h"

namespace sdgen::cuda {
namespace {

constexpr uint64_t kStagingBytes = uint64_t{4} << 20;
constexpr unsigned kDefaultSharedBytes = 48 << 10;  // more must be asked for

std::string gigabytes(uint64_t bytes) {
  char text[32];
  std::snprintf(text, sizeof text, "%.2f GB", static_cast<double>(bytes) / 1e9);
  return text;
}

}  // namespace

Device::Device(const DriverApi& api, const Card& card, const std::vector<CodeImage>& code) : api_(api), card_(card) {
  try {
    DeviceId id = 0;
    check(api_.device_get(&id, card_.index), "looking for it");
    check(api_.context_retain(&context_, id), "opening it");
    retained_ = true;
    use();
    check(api_.stream_create(&stream_, kStreamNonBlocking), "opening it");
    streaming_ = true;
    for (const CodeImage& image : code) {
      Module module = nullptr;
      check(api_.module_load(&module, image.image), (std::string("loading the kernels '") + image.family + "'").c_str());
      modules_.push_back(module);
    }
    check(api_.host_allocate(&staging_, kStagingBytes), "allocating page-locked memory");
  } catch (...) {
    release();
    throw;
  }
}

Device::~Device() { release(); }

void Device::release() noexcept {
  if (!retained_) return;
  api_.context_set(context_);
  if (streaming_) api_.stream_synchronize(stream_);
  if (staging_ != nullptr) api_.host_free(staging_);
  for (Module module : modules_) api_.module_unload(module);
  if (streaming_) api_.stream_destroy(stream_);
  DeviceId id = 0;
  if (api_.device_get(&id, card_.index) == kSuccess) api_.context_release(id);
}

void Device::use() { check(api_.context_set(context_), "switching to it"); }

DevicePointer Device::allocate(uint64_t bytes) {
  use();
  DevicePointer address = 0;
  const uint64_t wanted = std::max<uint64_t>(bytes, 256);
  const Result result = api_.memory_allocate(&address, wanted);
  if (result == kOutOfMemory) {
    size_t free = 0, total = 0;
    api_.memory_info(&free, &total);
    throw Error(ErrorCode::kOutOfMemory, "cuda:" + std::to_string(card_.index) + ": " + gigabytes(wanted) + " more device memory are needed and " +
                                             gigabytes(free) + " of " + gigabytes(total) +
                                             " are free: make smaller pictures or batches, close other programs that use the card, or use --device cpu");
  }
  check(result, "allocating device memory");
  return address;
}

void Device::upload(DevicePointer to, const void* from, uint64_t bytes) {
  use();
  const auto* source = static_cast<const unsigned char*>(from);
  for (uint64_t done = 0; done < bytes; done += kStagingBytes) {
    const uint64_t piece = std::min(kStagingBytes, bytes - done);
    check(api_.stream_synchronize(stream_), "the work before a copy");  // the staging memory is free again
    std::memcpy(staging_, source + done, piece);
    check(api_.copy_to_device(to + done, staging_, piece, stream_), "copying to it");
  }
}

void Device::download(void* to, DevicePointer from, uint64_t bytes) {
  use();
  auto* target = static_cast<unsigned char*>(to);
  for (uint64_t done = 0; done < bytes; done += kStagingBytes) {
    const uint64_t piece = std::min(kStagingBytes, bytes - done);
    check(api_.copy_to_host(staging_, from + done, piece, stream_), "copying from it");
    check(api_.stream_synchronize(stream_), "the work before a copy");
    std::memcpy(target + done, staging_, piece);
  }
}

void Device::fill(DevicePointer to, unsigned char value, uint64_t bytes) {
  use();
  if (bytes > 0) check(api_.memory_set(to, value, bytes, stream_), "filling memory");
}

void Device::synchronise() {
  use();
  check(api_.stream_synchronize(stream_), "the work given to it");
}

Function Device::function(const char* name, unsigned shared_bytes) {
  if (const auto known = functions_.find(std::string_view(name)); known != functions_.end()) return known->second;
  Function function = nullptr;
  Result result = kSuccess;
  for (Module module : modules_) {
    result = api_.module_function(&function, module, name);
    if (result == kSuccess) break;
  }
  check(result, (std::string("finding the kernel ") + name).c_str());
  if (function == nullptr) throw Error(ErrorCode::kInternal, std::string("no code holds the kernel ") + name);
  if (shared_bytes > kDefaultSharedBytes) {
    check(api_.function_attribute(function, kMaxDynamicSharedBytes, static_cast<int>(shared_bytes)), "asking for shared memory");
  }
  return functions_[name] = function;
}

void Device::launch_raw(const char* name, unsigned threads, unsigned shared_bytes, const Grid& grid, const void* params) {
  if (grid.x <= 0 || grid.y <= 0 || grid.z <= 0) return;  // nothing to do
  if (grid.x > INT32_MAX || grid.y > 65535 || grid.z > 65535) throw Error(ErrorCode::kInternal, std::string(name) + ": too many blocks");
  use();
  void* arguments[] = {const_cast<void*>(params)};
  check(api_.launch(function(name, shared_bytes), static_cast<unsigned>(grid.x), static_cast<unsigned>(grid.y), static_cast<unsigned>(grid.z),
                    threads, 1, 1, shared_bytes, stream_, arguments, nullptr),
        (std::string("starting the kernel ") + name).c_str());
}

void Device::begin_record() {
  use();
  check(api_.capture_begin(stream_, kCaptureThreadLocal), "recording");
}

void Device::abandon_record() noexcept {
  Graph graph = nullptr;
  if (api_.capture_end(stream_, &graph) == kSuccess && graph != nullptr) api_.graph_destroy(graph);
}

std::unique_ptr<Recording> Device::end_record() {
  Graph graph = nullptr;
  check(api_.capture_end(stream_, &graph), "recording");
  GraphExec exec = nullptr;
  const Result result = api_.graph_instantiate(&exec, graph, 0);
  api_.graph_destroy(graph);
  check(result, "making ready what was recorded");
  return std::make_unique<Recording>(*this, exec);
}

Event Device::mark() {
  use();
  Event event = nullptr;
  check(api_.event_create(&event, 0), "measuring time");
  check(api_.event_record(event, stream_), "measuring time");
  return event;
}

double Device::seconds_between(Event start, Event end) {
  synchronise();
  float milliseconds = 0;
  check(api_.event_elapsed(&milliseconds, start, end), "measuring time");
  return static_cast<double>(milliseconds) * 1e-3;
}

void Device::free_mark(Event event) noexcept { api_.event_destroy(event); }

DeviceMemory::DeviceMemory(Device& device, uint64_t bytes) : device_(device), bytes_(bytes), address_(device.allocate(bytes)) {}

DeviceMemory::~DeviceMemory() {
  device_.api_.context_set(device_.context_);
  device_.api_.memory_free(address_);
}

Recording::~Recording() {
  device_.api_.context_set(device_.context_);
  device_.api_.graph_exec_destroy(exec_);
}

void Recording::launch() {
  device_.use();
  device_.check(device_.api_.graph_launch(exec_, device_.stream_), "the recorded work");
}

}  // namespace sdgen::cuda
