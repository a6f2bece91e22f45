#include "backends/cuda/emulation/driver.h"

#include <algorithm>
#include <cstdlib>
#include <map>
#include <new>
#include <span>
#include <string>
#include <vector>

#include "backends/cuda/emulation/kernels.h"
#include "base/error.h"

namespace sdgen::cuda::emulation {
namespace {

struct Recorded {
  const HostKernel* kernel;
  Index3 grid, block;
  unsigned shared_bytes;
  std::vector<unsigned char> params;
};
using Recording = std::vector<Recorded>;

struct State {
  Machine machine;
  std::map<DevicePointer, size_t> allocations;
  size_t used = 0;
  std::map<const HostKernel*, unsigned> shared_bytes;  // dynamic shared memory that was asked for
  bool capturing = false;
  Recording recording;
  uint64_t launches = 0;
};
State& state() {
  static State instance;
  return instance;
}

constexpr unsigned kPlainShared = 48 << 10, kMostShared = 99 << 10;  // the least of the cards with code: sm_86, 89, 120

std::vector<HostKernel>& kernels() {
  static std::vector<HostKernel> list;
  return list;
}

void run(const Recorded& launch) {
  const Schedule& schedule = state().machine.schedule;
  ++state().launches;
  Block block(launch.block, launch.shared_bytes, schedule);
  const unsigned count = launch.grid.count();
  const std::function<void()> body = [&] { launch.kernel->body(launch.params.data()); };
  for (unsigned i = 0; i < count; ++i) {
    const unsigned b = schedule.backward ? count - 1 - i : i;
    try {
      block.run(body, launch.grid, {b % launch.grid.x, b / launch.grid.x % launch.grid.y, b / launch.grid.x / launch.grid.y});
    } catch (const Error& error) {
      throw Error(ErrorCode::kInternal, std::string("emulated ") + launch.kernel->name + ": " + error.what());
    }
  }
}

Result allocate(DevicePointer* pointer, size_t bytes) {
  if (bytes == 0 || state().capturing) return 1;
  if (bytes > state().machine.memory - state().used) return kOutOfMemory;
  void* memory = std::aligned_alloc(256, (bytes + 255) / 256 * 256);
  if (memory == nullptr) return kOutOfMemory;
  *pointer = reinterpret_cast<DevicePointer>(memory);
  state().allocations[*pointer] = bytes;
  state().used += bytes;
  return kSuccess;
}

Result release(DevicePointer pointer) {
  const auto found = state().allocations.find(pointer);
  if (state().capturing) return 1;
  if (found == state().allocations.end()) return 1;
  state().used -= found->second;
  state().allocations.erase(found);
  std::free(reinterpret_cast<void*>(pointer));
  return kSuccess;
}

Result launch(Function function, unsigned gx, unsigned gy, unsigned gz, unsigned bx, unsigned by, unsigned bz, unsigned shared_bytes,
              Stream, void** params, void**) {
  const auto* kernel = reinterpret_cast<const HostKernel*>(function);
  if (gx == 0 || gy == 0 || gz == 0 || gy > 65535 || gz > 65535 || bx * by * bz > kernel->threads) return 1;
  const auto asked = state().shared_bytes.find(kernel);
  if (shared_bytes > (asked == state().shared_bytes.end() ? kPlainShared : std::max(asked->second, kPlainShared))) return 1;
  const auto* bytes = static_cast<const unsigned char*>(params[0]);
  Recorded recorded{kernel, {gx, gy, gz}, {bx, by, bz}, shared_bytes, {bytes, bytes + kernel->params_bytes}};
  if (state().capturing) {
    state().recording.push_back(std::move(recorded));
  } else {
    run(recorded);
  }
  return kSuccess;
}

Result attribute(int* value, int which, DeviceId) {
  const Machine& machine = state().machine;
  *value = which == kMultiprocessorCount ? machine.multiprocessors
           : which == kComputeMajor      ? machine.major
           : which == kComputeMinor      ? machine.minor
                                         : static_cast<int>(kMostShared);
  return kSuccess;
}

/// Copies and sets belong to no graph here: the backend's captures hold kernels alone.
Result outside_capture(void* to, const void* from, size_t bytes) {
  if (state().capturing) return 1;
  std::memcpy(to, from, bytes);
  return kSuccess;
}

void fill_memory(DriverApi& api) {
  api.memory_allocate = allocate;
  api.memory_free = release;
  api.memory_info = [](size_t* free, size_t* total) -> Result {
    *total = state().machine.memory;
    *free = *total - state().used;
    return kSuccess;
  };
  api.host_allocate = [](void** pointer, size_t bytes) -> Result {
    *pointer = std::malloc(bytes);
    return *pointer == nullptr ? kOutOfMemory : kSuccess;
  };
  api.host_free = [](void* pointer) -> Result {
    std::free(pointer);
    return kSuccess;
  };
  api.copy_to_device = [](DevicePointer to, const void* from, size_t bytes, Stream) -> Result {
    return outside_capture(reinterpret_cast<void*>(to), from, bytes);
  };
  api.copy_to_host = [](void* to, DevicePointer from, size_t bytes, Stream) -> Result {
    return outside_capture(to, reinterpret_cast<const void*>(from), bytes);
  };
  api.memory_set = [](DevicePointer to, unsigned char value, size_t bytes, Stream) -> Result {
    if (state().capturing) return 1;
    std::memset(reinterpret_cast<void*>(to), value, bytes);
    return kSuccess;
  };
}

void fill_devices(DriverApi& api) {
  api.init = [](unsigned) -> Result { return kSuccess; };
  api.driver_version = [](int* version) -> Result { return *version = 13000, kSuccess; };
  api.device_count = [](int* count) -> Result { return *count = 1, kSuccess; };
  api.device_get = [](DeviceId* device, int ordinal) -> Result { return *device = ordinal, ordinal == 0 ? kSuccess : kInvalidDevice; };
  api.device_name = [](char* name, int length, DeviceId) -> Result {
    std::strncpy(name, "emulation on the host", static_cast<size_t>(length));
    return kSuccess;
  };
  api.device_memory = [](size_t* bytes, DeviceId) -> Result { return *bytes = state().machine.memory, kSuccess; };
  api.device_attribute = attribute;
  api.context_retain = [](Context* context, DeviceId) -> Result { return *context = nullptr, kSuccess; };
  api.context_release = [](DeviceId) -> Result { return kSuccess; };
  api.context_set = [](Context) -> Result { return kSuccess; };
  api.error_name = [](Result result, const char** name) -> Result {
    *name = result == kOutOfMemory ? "CUDA_ERROR_OUT_OF_MEMORY" : "CUDA_ERROR_INVALID_VALUE";
    return kSuccess;
  };
}

void fill_execution(DriverApi& api) {
  api.module_load = [](Module* module, const void*) -> Result { return *module = nullptr, kSuccess; };
  api.module_unload = [](Module) -> Result { return kSuccess; };
  api.module_function = [](Function* function, Module, const char* name) -> Result {
    const HostKernel* kernel = find_kernel(name);
    if (kernel == nullptr) return 500;
    *function = reinterpret_cast<Function>(const_cast<HostKernel*>(kernel));
    return kSuccess;
  };
  api.function_attribute = [](Function function, int which, int value) -> Result {
    if (which != kMaxDynamicSharedBytes || value < 0 || static_cast<unsigned>(value) > kMostShared) return 1;
    state().shared_bytes[reinterpret_cast<const HostKernel*>(function)] = static_cast<unsigned>(value);
    return kSuccess;
  };
  api.launch = launch;
  api.stream_create = [](Stream* stream, unsigned) -> Result { return *stream = nullptr, kSuccess; };
  api.stream_destroy = [](Stream) -> Result { return kSuccess; };
  api.stream_synchronize = [](Stream) -> Result { return state().capturing ? 1 : kSuccess; };
  api.event_create = [](Event* event, unsigned) -> Result { return *event = nullptr, kSuccess; };
  api.event_destroy = [](Event) -> Result { return kSuccess; };
  api.event_record = [](Event, Stream) -> Result { return kSuccess; };
  api.event_elapsed = [](float* milliseconds, Event, Event) -> Result { return *milliseconds = 0, kSuccess; };
  api.capture_begin = [](Stream, int) -> Result {
    state().capturing = true;
    state().recording.clear();
    return kSuccess;
  };
  api.capture_end = [](Stream, Graph* graph) -> Result {
    state().capturing = false;
    *graph = reinterpret_cast<Graph>(new Recording(std::move(state().recording)));
    return kSuccess;
  };
  api.graph_instantiate = [](GraphExec* exec, Graph graph, unsigned long long) -> Result {
    *exec = reinterpret_cast<GraphExec>(new Recording(*reinterpret_cast<Recording*>(graph)));
    return kSuccess;
  };
  api.graph_launch = [](GraphExec exec, Stream) -> Result {
    for (const Recorded& recorded : *reinterpret_cast<Recording*>(exec)) run(recorded);
    return kSuccess;
  };
  api.graph_exec_destroy = [](GraphExec exec) -> Result {
    delete reinterpret_cast<Recording*>(exec);
    return kSuccess;
  };
  api.graph_destroy = [](Graph graph) -> Result {
    delete reinterpret_cast<Recording*>(graph);
    return kSuccess;
  };
}

}  // namespace

Registrar::Registrar(const char* name, unsigned threads, size_t params_bytes, void (*body)(const void* params)) {
  kernels().push_back({name, threads, params_bytes, body});
}

const HostKernel* find_kernel(std::string_view name) {
  for (const HostKernel& kernel : kernels()) {
    if (name == kernel.name) return &kernel;
  }
  return nullptr;
}

uint64_t launches() { return state().launches; }

const DriverApi& emulated_driver(const Machine& machine) {
  static const DriverApi table = [] {
    DriverApi api;
    fill_devices(api);
    fill_memory(api);
    fill_execution(api);
    return api;
  }();
  state().machine = machine;
  return table;
}

}  // namespace sdgen::cuda::emulation
