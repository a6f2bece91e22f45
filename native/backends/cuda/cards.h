#pragma once
// The cards of this machine as devices: "cuda" is the first, "cuda:N" the one that the driver numbers N.
#include <optional>
#include <string_view>

#include "backends/backend.h"

namespace sdgen::cuda {

/// N of "cuda" (0) and "cuda:N"; nothing for another name.
std::optional<int> card_of(std::string_view device);
/// Whether this build carries code for cards.
bool is_built();
/// A row a card; where there is none to be had, one row without precisions whose `missing` says why. Asked once a process.
std::vector<BackendInfo> infos();
/// A row a card that can be used.
std::vector<sdgen::DeviceMemory> memory();
/// Throws kDevice, with the reason, where there is no driver, no such card or no code for it.
std::unique_ptr<Backend> make_backend(int card, const BackendOptions& options);

}  // namespace sdgen::cuda
