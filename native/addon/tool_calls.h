#pragma once
#include "addon/errors.h"

namespace sdgen::addon {

/// bench(options): {promise of {text, json}, cancel}. On a thread of its own; no model is needed.
Napi::Value start_bench(const Napi::CallbackInfo& info);
/// probePeak({precision, threads, seconds}): {promise of GFLOP/s, cancel}, likewise.
Napi::Value start_probe(const Napi::CallbackInfo& info);

/// debugEval(options): {promise, cancel}: one part of a model on tensors of a file, to a file.
Napi::Value start_eval(const Napi::CallbackInfo& info);
/// debugCompare(options): {promise of {tolerance, notCompared, ops, text}, cancel}: one evaluation on two devices.
Napi::Value start_compare(const Napi::CallbackInfo& info);

}  // namespace sdgen::addon
