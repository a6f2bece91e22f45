#include "tools/tensors.h"

#include <cstring>

#include "base/error.h"
#include "engine/layout.h"

namespace sdgen::tools {

Tensor read_tensor(const WeightStore& store, const std::string& name, size_t rank) {
  const TensorInfo* info = store.find(name);
  if (info == nullptr) throw Error(ErrorCode::kInvalidArgument, store.path() + ": no tensor '" + name + "'");
  if (info->shape.size() != rank) {
    throw Error(ErrorCode::kInvalidArgument, store.path() + ": '" + name + "' should have " + std::to_string(rank) + " dimensions");
  }
  if (info->dtype != DType::kI32) return {info->shape, read_all_f32(store, *info)};
  std::vector<int32_t> ids(static_cast<size_t>(info->elements()));
  store.read_raw(*info, 0, ids.data(), ids.size() * sizeof(int32_t));
  return {info->shape, std::vector<float>(ids.begin(), ids.end())};
}

Tensor read_picture(const WeightStore& store, const std::string& name) {
  const Tensor file = read_tensor(store, name, 4);
  Tensor picture{file.shape, std::vector<float>(file.data.size())};
  nchw_to_nhwc(file.data.data(), picture.data.data(), file.shape[0], file.shape[1], file.shape[2] * file.shape[3]);
  return picture;
}

Tensor first_rows(const Tensor& tensor, int64_t rows) {
  if (tensor.shape[0] < rows) throw Error(ErrorCode::kInvalidArgument, "an input has fewer rows than the batch of " + std::to_string(rows));
  Tensor out = tensor;
  out.shape[0] = rows;
  out.data.resize(tensor.data.size() / static_cast<size_t>(tensor.shape[0]) * static_cast<size_t>(rows));
  return out;
}

NamedTensor to_file(const std::string& name, const std::vector<int64_t>& shape, const std::vector<float>& data) {
  NamedTensor out{name, DType::kF32, shape, std::vector<unsigned char>(data.size() * sizeof(float))};
  std::memcpy(out.data.data(), data.data(), out.data.size());
  return out;
}

NamedTensor value_to_file(const std::string& name, const Shape& shape, const std::vector<float>& data) {
  std::vector<int64_t> dims;
  for (int i = 0; i < shape.rank(); ++i) dims.push_back(shape[i]);
  if (shape.rank() != 4) return to_file(name, dims, data);
  std::vector<float> nchw(data.size());
  nhwc_to_nchw(data.data(), nchw.data(), shape[0], shape[3], shape[1] * shape[2]);
  return to_file(name, {shape[0], shape[3], shape[1], shape[2]}, nchw);
}

}  // namespace sdgen::tools
