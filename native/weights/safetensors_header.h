#pragma once
// The JSON header of a safetensors file, checked in full before any tensor is believed.
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "weights/store.h"

namespace sdgen {

/// The format's own bound on the header (its reference implementation refuses more).
inline constexpr uint64_t kMaxSafetensorsHeader = 100'000'000;
inline constexpr size_t kMaxTensors = 100'000;
inline constexpr size_t kMaxTensorName = 512;  // bytes
inline constexpr size_t kMaxRank = 16;

struct SafetensorsHeader {
  std::vector<TensorInfo> tensors;  // sorted by offset, then name
  std::map<std::string, std::string> metadata;
};

/// `json` is the header, which ends at `data_start` of a file of `file_bytes`. As the format's reference implementation
/// does, this refuses overlaps, holes between tensors and bytes after the last one; moreover repeated names, more than
/// kMaxTensors, and control characters in names. Throws kModelFormat, or kModelUnsupported for an element type of the
/// format that DType lacks; messages begin with `path`.
SafetensorsHeader parse_safetensors_header(std::string_view json, uint64_t data_start, uint64_t file_bytes,
                                           const std::string& path);

}  // namespace sdgen
