#pragma once
// Tensors of a file by name, and results on their way to one; NCHW in files, NHWC in programs.
#include <string>
#include <vector>

#include "graph/shape.h"
#include "weights/store.h"

namespace sdgen::tools {

struct Tensor {
  std::vector<int64_t> shape;
  std::vector<float> data;
};

/// Throws kInvalidArgument when the file has no tensor of that name or it has another rank.
Tensor read_tensor(const WeightStore& store, const std::string& name, size_t rank);
/// A rank 4 tensor, transposed to NHWC; the shape stays [N, C, H, W].
Tensor read_picture(const WeightStore& store, const std::string& name);
/// The first `rows` of the outermost dimension.
Tensor first_rows(const Tensor& tensor, int64_t rows);

NamedTensor to_file(const std::string& name, const std::vector<int64_t>& shape, const std::vector<float>& data);
/// A value of a program; rank 4 is transposed to NCHW.
NamedTensor value_to_file(const std::string& name, const Shape& shape, const std::vector<float>& data);

}  // namespace sdgen::tools
