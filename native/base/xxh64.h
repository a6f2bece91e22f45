#pragma once
// XXH64 (Collet, xxHash 0.8 specification), seed 0: tells equal bytes from others in passing. No cryptographic hash.
#include <cstddef>
#include <cstdint>

namespace sdgen {

uint64_t xxh64(const void* bytes, size_t count) noexcept;

}  // namespace sdgen
