#pragma once
// Memory of backends that compute on the host.
#include <cstdint>
#include <memory>

#include "backends/backend.h"

namespace sdgen::host {

/// 64-byte aligned memory, not initialised; in huge pages where it is large and the system has them.
/// Throws kOutOfMemory, naming the bytes.
class AlignedBytes {
 public:
  explicit AlignedBytes(uint64_t bytes);
  unsigned char* data() const noexcept { return memory_.get(); }

 private:
  struct Free {
    void operator()(unsigned char* p) const noexcept;
  };
  std::unique_ptr<unsigned char, Free> memory_;
};

class HostBuffer : public Buffer {
 public:
  explicit HostBuffer(uint64_t bytes) : bytes_(bytes), memory_(bytes) {}
  uint64_t bytes() const noexcept override { return bytes_; }
  /// Throws kInternal for a range outside the buffer.
  unsigned char* at(int64_t byte_offset, int64_t size) const;

 private:
  uint64_t bytes_;
  AlignedBytes memory_;
};

}  // namespace sdgen::host
