#pragma once
// Measures what a piece of code asks of operator new, in this thread.
#include <cstddef>

namespace sdgen_test {

/// From its construction on: the largest single request and the sum of all requests.
class AllocationProbe {
 public:
  AllocationProbe() noexcept;
  size_t largest() const noexcept;
  size_t total() const noexcept;
};

}  // namespace sdgen_test
