#pragma once
// Small model files in memory, for tests of the readers.
#include <cstring>
#include <memory>
#include <string>
#include <vector>

#include "weights/store.h"

namespace sdgen_test {

using Bytes = std::vector<unsigned char>;

/// A safetensors file with that header, whose length is claimed to be `length`, followed by `data_bytes` ones.
inline Bytes with_length(const std::string& json, uint64_t length, size_t data_bytes) {
  Bytes out;
  for (int i = 0; i < 8; ++i) out.push_back(static_cast<unsigned char>(length >> (8 * i)));
  out.insert(out.end(), json.begin(), json.end());
  out.resize(out.size() + data_bytes, 1);
  return out;
}
inline Bytes file_of(const std::string& json, size_t data_bytes) { return with_length(json, json.size(), data_bytes); }

inline std::shared_ptr<const sdgen::WeightStore> open_bytes(const Bytes& bytes) {
  return sdgen::open_safetensors_bytes(bytes, "m.safetensors");
}

template <typename T>
Bytes bytes_of(const std::vector<T>& values) {
  Bytes out(values.size() * sizeof(T));
  if (!out.empty()) std::memcpy(out.data(), values.data(), out.size());
  return out;
}

inline sdgen::NamedTensor f32(const std::string& name, std::vector<int64_t> shape, const std::vector<float>& values) {
  return {name, sdgen::DType::kF32, std::move(shape), bytes_of(values)};
}

inline std::vector<sdgen::NamedTensor> small_model() {
  return {f32("b.weight", {2, 3}, {1, 2, 3, 4, 5, 6}),
          {"a.half", sdgen::DType::kF16, {4}, bytes_of<uint16_t>({0x3C00, 0xC000, 0x0001, 0x7BFF})},
          {"c.ids", sdgen::DType::kI64, {1, 2}, bytes_of<int64_t>({7, -8})}};
}

}  // namespace sdgen_test
