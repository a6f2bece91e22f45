#pragma once
// The kernels that were compiled for the host, by name.
#include <cstddef>
#include <string_view>

namespace sdgen::cuda::emulation {

struct HostKernel {
  const char* name;
  unsigned threads;  // a block may have at most
  size_t params_bytes;
  void (*body)(const void* params);
};

struct Registrar {
  Registrar(const char* name, unsigned threads, size_t params_bytes, void (*body)(const void* params));
};

/// nullptr if there is none.
const HostKernel* find_kernel(std::string_view name);

}  // namespace sdgen::cuda::emulation
