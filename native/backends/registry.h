#pragma once
// The devices of this build by name.
#include "backends/backend.h"

namespace sdgen {

/// Throws kDevice for a device or precision that is unknown, not built, or not to be had on this machine.
std::unique_ptr<Backend> make_backend(const std::string& device, const BackendOptions& options);
/// Throws as make_backend would for the names alone.
void check_device(const std::string& device, const std::string& precision);
/// What every built device can do on this machine.
std::vector<BackendInfo> backend_infos();
/// Of every device of this machine that has memory of its own, asked anew each time. Throws kDevice where one does not answer.
std::vector<DeviceMemory> device_memory();

}  // namespace sdgen
