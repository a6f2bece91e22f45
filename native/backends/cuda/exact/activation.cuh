#pragma once
#include "backends/cuda/device_code.h"
#include "graph/ops/activation.h"

namespace sdgen::cuda::exact {

SDGEN_DEVICE float activate(Activation kind, float x) {
  switch (kind) {
    case Activation::kSilu: return math::silu_f32(x);
    case Activation::kGelu: return math::gelu_f32(x);
    case Activation::kQuickGelu: return math::quick_gelu_f32(x);
    case Activation::kNone: break;
  }
  return x;
}

}  // namespace sdgen::cuda::exact
