#include "backends/host/memory.h"

#include <algorithm>
#include <cstdlib>
#include <string>

#include <sys/mman.h>

#include "base/error.h"

namespace sdgen::host {
namespace {

constexpr uint64_t kHugePage = uint64_t{2} << 20;

}  // namespace

AlignedBytes::AlignedBytes(uint64_t wanted) {
  const uint64_t bytes = (std::max<uint64_t>(wanted, 1) + 63) / 64 * 64;
  void* memory = nullptr;
  if (posix_memalign(&memory, bytes >= kHugePage ? kHugePage : 64, bytes) != 0) {
    throw Error(ErrorCode::kOutOfMemory, "could not allocate " + std::to_string(bytes) + " bytes");
  }
  memory_.reset(static_cast<unsigned char*>(memory));
#ifdef MADV_HUGEPAGE
  // Advice only: without huge pages the memory serves as well, a little slower. Whole pages, so that none is wasted.
  if (bytes >= kHugePage) madvise(memory, bytes / kHugePage * kHugePage, MADV_HUGEPAGE);
#endif
}

void AlignedBytes::Free::operator()(unsigned char* p) const noexcept { std::free(p); }

unsigned char* HostBuffer::at(int64_t byte_offset, int64_t size) const {
  if (byte_offset < 0 || size < 0 || static_cast<uint64_t>(byte_offset) + static_cast<uint64_t>(size) > bytes_) {
    throw Error(ErrorCode::kInternal, "access outside a buffer of " + std::to_string(bytes_) + " bytes");
  }
  return memory_.data() + byte_offset;
}

}  // namespace sdgen::host
