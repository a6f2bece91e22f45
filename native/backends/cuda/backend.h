#pragma once
// The backend of NVIDIA's cards. It needs the driver alone, found at run time; kernels are our own.
#include <memory>

#include "backends/backend.h"
#include "backends/cuda/device.h"

namespace sdgen::cuda {

/// What this build and this machine have: no precision and a reason where that is nothing. Asked once.
BackendInfo info();
/// Throws kDevice, with the reason, where there is no driver, no such card or no code for it.
std::unique_ptr<Backend> make_backend(const BackendOptions& options);

/// Over a driver of one's own (tests: the emulation).
std::unique_ptr<Backend> make_backend_on(const DriverApi& api, const Card& card, const std::vector<CodeImage>& code,
                                         const std::string& precision);

}  // namespace sdgen::cuda
