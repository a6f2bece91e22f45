#include "backends/cuda/driver.h"

#include <cstdio>

#include <dlfcn.h>

#include "base/error.h"

namespace sdgen::cuda {
namespace {

std::string version_text(int version) { return std::to_string(version / 1000) + "." + std::to_string(version % 1000 / 10); }

std::string error_text(const DriverApi& api, Result result) {
  const char* name = nullptr;
  if (api.error_name == nullptr || api.error_name(result, &name) != kSuccess || name == nullptr) return "error " + std::to_string(result);
  return name;
}

/// Errors after which nothing works on the card until the process, or the card, is started anew.
bool is_lost(Result result) {
  constexpr Result kLost[] = {46, 214, 220, 226, 700, 702, 714, 715, 716, 717, 718, 719, 999};
  for (const Result lost : kLost) {
    if (result == lost) return true;
  }
  return false;
}

Card describe(const DriverApi& api, int index) {
  DeviceId id = 0;
  check(api, api.device_get(&id, index), "looking at it", index);
  char name[128] = {};
  check(api, api.device_name(name, sizeof name - 1, id), "asking for its name", index);
  size_t memory = 0;
  check(api, api.device_memory(&memory, id), "asking for its memory", index);
  Card card{.index = index, .name = name, .memory = memory};
  int shared = 0;
  const auto attribute = [&](int which, int& value) { check(api, api.device_attribute(&value, which, id), "asking what it can do", index); };
  attribute(kComputeMajor, card.major);
  attribute(kComputeMinor, card.minor);
  attribute(kMultiprocessorCount, card.multiprocessors);
  attribute(kSharedBytesOptIn, shared);
  card.shared_bytes = shared;
  return card;
}

}  // namespace

std::string Card::text() const {
  char size[32];
  std::snprintf(size, sizeof size, "%.1f GB", static_cast<double>(memory) / 1e9);
  return std::to_string(index) + ": " + name + ", sm_" + std::to_string(major) + std::to_string(minor) + ", " + size;
}

const DriverApi* load_driver(const char* library, std::string& problem) {
  static DriverApi api;
  static bool loaded = false;
  if (loaded) return &api;
  void* handle = dlopen(library, RTLD_NOW | RTLD_LOCAL);
  if (handle == nullptr) {
    problem = std::string("there is no NVIDIA driver (") + library + " is not found): install NVIDIA's driver, or use --device cpu";
    return nullptr;
  }
  const char* lacking = nullptr;
  const auto find = [&](const char* symbol) {
    void* address = dlsym(handle, symbol);
    if (address == nullptr) lacking = symbol;
    return address;
  };
#define SDGEN_DRIVER_LOAD(member, symbol, parameters) api.member = reinterpret_cast<decltype(api.member)>(find(symbol));
  SDGEN_DRIVER_FUNCTIONS(SDGEN_DRIVER_LOAD)
#undef SDGEN_DRIVER_LOAD
  if (lacking != nullptr) {
    problem = std::string("the NVIDIA driver is too old (it lacks ") + lacking + "): update it, or use --device cpu";
    dlclose(handle);
    return nullptr;
  }
  loaded = true;
  return &api;
}

Cards find_cards(const DriverApi& api, int built_with) {
  Cards found;
  if (const Result result = api.init(0); result != kSuccess) {
    found.problem = result == kNoDevice ? "the NVIDIA driver finds no card: look at `nvidia-smi`, or use --device cpu"
                                        : "the NVIDIA driver does not start (" + error_text(api, result) + "): look at `nvidia-smi`, or use --device cpu";
    return found;
  }
  int version = 0, count = 0;
  if (api.driver_version(&version) != kSuccess || version / 1000 < built_with / 1000) {
    found.problem = "the NVIDIA driver is too old: it supports CUDA " + version_text(version) + " and this build needs " +
                    version_text(built_with / 1000 * 1000) + " or newer; update the driver, or use --device cpu";
    return found;
  }
  if (const Result result = api.device_count(&count); result != kSuccess || count == 0) {
    found.problem = "the NVIDIA driver finds no card: look at `nvidia-smi`, or use --device cpu";
    return found;
  }
  for (int i = 0; i < count; ++i) found.cards.push_back(describe(api, i));
  found.api = &api;
  return found;
}

CardMemory memory_of(const DriverApi& api, int index) {
  DeviceId id = 0;
  check(api, api.device_get(&id, index), "looking at it", index);
  Context context = nullptr;
  check(api, api.context_retain(&context, id), "opening a context", index);
  size_t free = 0, total = 0;
  Result result = api.context_set(context);
  if (result == kSuccess) result = api.memory_info(&free, &total);
  api.context_set(nullptr);  // this thread has nothing more to do with the card
  api.context_release(id);
  check(api, result, "asking for its free memory", index);
  return {free, total};
}

void check(const DriverApi& api, Result result, const char* doing, int card) {
  if (result == kSuccess) return;
  const std::string what = "cuda:" + std::to_string(card) + ": " + doing + " failed (" + error_text(api, result) + ")";
  if (result == kOutOfMemory) throw Error(ErrorCode::kOutOfMemory, what + ": close other programs that use the card, or use --device cpu");
  if (result == kNoBinaryForGpu || result == kUnsupportedPtx) {
    throw Error(ErrorCode::kDevice, what + ": this build has no code for that card's architecture; build for it with SDGEN_CUDA_ARCHITECTURES, "
                                           "or use --device cpu");
  }
  if (is_lost(result)) {
    throw Error(ErrorCode::kDevice, what + ": the card is lost to this process; start again, and look at `nvidia-smi` and the system's log if it happens again");
  }
  throw Error(ErrorCode::kDevice, what);
}

}  // namespace sdgen::cuda
