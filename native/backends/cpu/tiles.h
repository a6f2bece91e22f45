#pragma once
namespace sdgen::cpu {

/// Whether the processor has AMX with bf16 and the system lets this process use it (Linux gives the large registers to
/// those who ask, which this does once).
bool tiles_available() noexcept;

}  // namespace sdgen::cpu
