#include "allocation.h"

#include <algorithm>
#include <cstdlib>
#include <new>

namespace {

thread_local size_t largest_request = 0;
thread_local size_t total_requested = 0;

void* allocate(size_t size, size_t alignment) {
  largest_request = std::max(largest_request, size);
  total_requested += size;
  void* memory = nullptr;
  if (alignment <= alignof(std::max_align_t)) {
    memory = std::malloc(size == 0 ? 1 : size);
  } else if (posix_memalign(&memory, alignment, size == 0 ? 1 : size) != 0) {
    memory = nullptr;
  }
  if (memory == nullptr) throw std::bad_alloc();
  return memory;
}

}  // namespace

void* operator new(size_t size) { return allocate(size, 1); }
void* operator new(size_t size, std::align_val_t alignment) { return allocate(size, static_cast<size_t>(alignment)); }
// Also the nothrow form, which std::stable_sort takes: all that is freed by the functions below must come from here.
void* operator new(size_t size, const std::nothrow_t&) noexcept {
  try {
    return allocate(size, 1);
  } catch (const std::bad_alloc&) {
    return nullptr;
  }
}
void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, size_t) noexcept { std::free(memory); }
void operator delete(void* memory, std::align_val_t) noexcept { std::free(memory); }
void operator delete(void* memory, size_t, std::align_val_t) noexcept { std::free(memory); }

namespace sdgen_test {

AllocationProbe::AllocationProbe() noexcept { largest_request = total_requested = 0; }
size_t AllocationProbe::largest() const noexcept { return largest_request; }
size_t AllocationProbe::total() const noexcept { return total_requested; }

}  // namespace sdgen_test
