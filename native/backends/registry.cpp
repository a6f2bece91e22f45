#include "backends/registry.h"

#include <algorithm>

#include "backends/cpu/dispatch.h"
#include "backends/reference/info.h"
#include "base/error.h"

namespace sdgen {
namespace {

struct Device {
  BackendInfo (*info)();
  std::unique_ptr<Backend> (*make)(const BackendOptions& options);
};
constexpr Device kDevices[] = {
    {reference::info, make_reference_backend},
    {cpu::info, make_cpu_backend},
};
// Known by name, so that the refusal can say more than "unknown".
constexpr const char* kLaterDevices[] = {"cuda"};
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

const Device& find_device(const std::string& name) {
  std::vector<std::string> built;
  for (const Device& device : kDevices) {
    built.push_back(device.info().name);
    if (built.back() == name) return device;
  }
  if (holds(kLaterDevices, name)) {
    throw Error(ErrorCode::kDevice, "device '" + name + "' is known but not built yet; built: " + joined(built));
  }
  throw Error(ErrorCode::kDevice, "unknown device '" + name + "'; built: " + joined(built));
}

const Device& checked_device(const std::string& name, const std::string& precision) {
  const Device& device = find_device(name);
  const BackendInfo info = device.info();
  if (holds(info.precisions, precision)) return device;
  const std::string built = "; built: " + joined(info.precisions);
  if (!holds(kPrecisions, precision)) throw Error(ErrorCode::kDevice, "unknown precision '" + precision + "'" + built);
  const std::string reason = info.missing.empty() ? "is known but not built on '" + name + "'" : info.missing;
  throw Error(ErrorCode::kDevice, "precision '" + precision + "' " + reason + built);
}

}  // namespace

std::unique_ptr<Backend> make_backend(const std::string& device, const BackendOptions& options) {
  return checked_device(device, options.precision).make(options);
}

void check_device(const std::string& device, const std::string& precision) { checked_device(device, precision); }

Binding place_of(const Program& program, ValueId id, Buffer& arena, std::span<const Binding> bindings) {
  if (program.value(id).offset >= 0) return {id, &arena, program.value(id).offset};
  const auto bound = std::find_if(bindings.begin(), bindings.end(), [&](const Binding& b) { return b.value == id; });
  if (bound != bindings.end()) return *bound;
  throw Error(ErrorCode::kInternal, "value '" + program.value(id).name + "' of " + program.part + " is not bound");
}

std::vector<BackendInfo> backend_infos() {
  std::vector<BackendInfo> infos;
  for (const Device& device : kDevices) infos.push_back(device.info());
  return infos;
}

}  // namespace sdgen
