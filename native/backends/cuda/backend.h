#pragma once
// The backend of NVIDIA's cards. It needs the driver alone, found at run time; kernels are our own.
#include <memory>

#include "backends/backend.h"
#include "backends/cuda/device.h"

namespace sdgen::cuda {

/// What the backend can do on that card.
BackendInfo describe(const Card& card);
/// On one card of a driver: the machine's, or the emulation. `threads` of the host pack weights. Throws kDevice where the
/// code has none for the card.
std::unique_ptr<Backend> make_backend_on(const DriverApi& api, const Card& card, const std::vector<CodeImage>& code,
                                         const std::string& precision, int threads = 1);

}  // namespace sdgen::cuda
