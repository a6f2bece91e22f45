#include "backends/registry.h"

#include <algorithm>

#include "backends/cpu/dispatch.h"
#include "backends/cuda/cards.h"
#include "backends/reference/info.h"
#include "base/error.h"

namespace sdgen {
namespace {

struct Device {
  std::vector<BackendInfo> (*infos)();  // a row a name
  std::unique_ptr<Backend> (*make)(const std::string& name, const BackendOptions& options);
};
const Device kDevices[] = {
    {[] { return std::vector{reference::info()}; }, [](const std::string&, const BackendOptions& options) { return make_reference_backend(options); }},
    {[] { return std::vector{cpu::info()}; }, [](const std::string&, const BackendOptions& options) { return make_cpu_backend(options); }},
    {cuda::infos, [](const std::string& name, const BackendOptions& options) { return cuda::make_backend(*cuda::card_of(name), options); }},
};
constexpr const char* kPrecisions[] = {"fp32", "bf16", "fp16"};

std::string joined(const std::vector<std::string>& names) {
  std::string text;
  for (const std::string& name : names) text += (text.empty() ? "" : ", ") + name;
  return text;
}

template <typename Names>
bool holds(const Names& names, const std::string& name) {
  return std::any_of(std::begin(names), std::end(names), [&](const auto& n) { return name == n; });
}

struct Found {
  const Device& device;
  BackendInfo info;
};

Found find_device(const std::string& name) {
  std::vector<std::string> built;
  for (const Device& device : kDevices) {
    for (BackendInfo& info : device.infos()) {
      if (info.name == name || (info.name == "cuda" && name == "cuda:0")) return {device, std::move(info)};
      built.push_back(std::move(info.name));
    }
  }
  if (!cuda::card_of(name)) throw Error(ErrorCode::kDevice, "unknown device '" + name + "'; built: " + joined(built));
  if (!cuda::is_built()) {
    throw Error(ErrorCode::kDevice, "device '" + name + "' is known but not built into this sdgen (`npm run build:cuda` makes a build that has it); built: " +
                                        joined(built));
  }
  throw Error(ErrorCode::kDevice, "there is no device '" + name + "' in this machine; there are: " + joined(built));
}

Found checked_device(const std::string& name, const std::string& precision) {
  Found found = find_device(name);
  const BackendInfo& info = found.info;
  if (holds(info.precisions, precision)) return found;
  if (info.precisions.empty()) throw Error(ErrorCode::kDevice, "device '" + name + "': " + info.missing);
  const std::string built = "; built: " + joined(info.precisions);
  if (!holds(kPrecisions, precision)) throw Error(ErrorCode::kDevice, "unknown precision '" + precision + "'" + built);
  // What is missing is what bf16 needs: fp16 is lacking whatever the processor has.
  const bool says_why = precision == "bf16" && !info.missing.empty();
  const std::string reason = says_why ? info.missing : "is known but not built on '" + name + "'";
  throw Error(ErrorCode::kDevice, "precision '" + precision + "' " + reason + built);
}

}  // namespace

std::unique_ptr<Backend> make_backend(const std::string& device, const BackendOptions& options) {
  return checked_device(device, options.precision).device.make(device, options);
}

void check_device(const std::string& device, const std::string& precision) { checked_device(device, precision); }

Binding place_of(const Program& program, ValueId id, Buffer& arena, std::span<const Binding> bindings) {
  if (program.value(id).offset >= 0) return {id, &arena, program.value(id).offset};
  const auto bound = std::find_if(bindings.begin(), bindings.end(), [&](const Binding& b) { return b.value == id; });
  if (bound != bindings.end()) return *bound;
  throw Error(ErrorCode::kInternal, "value '" + program.value(id).name + "' of " + program.part + " is not bound");
}

std::vector<DeviceMemory> device_memory() { return cuda::memory(); }

std::vector<BackendInfo> backend_infos() {
  std::vector<BackendInfo> infos;
  for (const Device& device : kDevices) {
    for (BackendInfo& info : device.infos()) infos.push_back(std::move(info));
  }
  return infos;
}

}  // namespace sdgen
