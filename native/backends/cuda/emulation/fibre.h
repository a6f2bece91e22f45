#pragma once
// Switching between stacks: by a few instructions on x86-64, by the system's contexts elsewhere.
#include <cstddef>

namespace sdgen::cuda::emulation {

/// Prepares a stack on which `entry` starts when it is switched to for the first time; `entry` never returns.
void* new_fibre(unsigned char* stack, size_t bytes, void (*entry)());
/// Leaves the running stack in *from and goes on with `to`.
void switch_fibre(void** from, void* to);

}  // namespace sdgen::cuda::emulation
