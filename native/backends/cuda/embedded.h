#pragma once
// The kernels' code that this build carries.
#include <string>
#include <vector>

#include "backends/cuda/device.h"

namespace sdgen::cuda {

struct EmbeddedCode {
  std::vector<CodeImage> images;  // empty: built without CUDA
  int toolkit = 0;                // as 13000
  std::string architectures;      // "sm_80, sm_90a"
};
const EmbeddedCode& embedded_code();

}  // namespace sdgen::cuda
