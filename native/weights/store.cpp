#include "weights/store.h"

#include <algorithm>
#include <new>
#include <stdexcept>

#include "base/error.h"
#include "weights/byte_source.h"

namespace sdgen {
namespace {

void allocate(std::vector<float>& buffer, uint64_t size, const std::string& path) {
  try {
    buffer.resize(size);
  } catch (const std::bad_alloc&) {
    throw file_error(ErrorCode::kOutOfMemory, path, "no memory for " + std::to_string(size) + " elements of a tensor");
  } catch (const std::length_error&) {
    throw file_error(ErrorCode::kOutOfMemory, path, "no memory for " + std::to_string(size) + " elements of a tensor");
  }
}

}  // namespace

void WeightStore::read_f32(const TensorInfo& tensor, int64_t piece_elements, const PieceFn& receive) const {
  const int64_t elements = tensor.elements();
  const int64_t row = tensor.shape.empty() ? 1 : elements / std::max<int64_t>(tensor.shape[0], 1);
  const int64_t piece = std::min(elements, std::max<int64_t>(1, piece_elements / std::max<int64_t>(row, 1)) * row);
  std::vector<float> values;
  if (elements == 0) return read_f32_range(tensor, 0, values);  // its type is still checked
  allocate(values, static_cast<uint64_t>(piece), path());
  for (int64_t first = 0; first < elements; first += piece) {
    const std::span<float> some(values.data(), static_cast<size_t>(std::min(piece, elements - first)));
    read_f32_range(tensor, first, some);
    receive(first, some);
  }
}

std::vector<float> read_all_f32(const WeightStore& store, const TensorInfo& tensor) {
  std::vector<float> all;
  allocate(all, static_cast<uint64_t>(tensor.elements()), store.path());
  store.read_f32_range(tensor, 0, all);
  return all;
}

}  // namespace sdgen
