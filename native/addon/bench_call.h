#pragma once
#include "addon/errors.h"

namespace sdgen::addon {

/// bench(options): {promise of {text, json}, cancel}. On a thread of its own; no model is needed.
Napi::Value start_bench(const Napi::CallbackInfo& info);
/// probePeak({precision, threads, seconds}): {promise of GFLOP/s, cancel}, likewise.
Napi::Value start_probe(const Napi::CallbackInfo& info);

}  // namespace sdgen::addon
