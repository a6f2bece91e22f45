#pragma once
// Records the ops of a model part for one input shape. Models are written against this and nothing else.
#include <string>
#include <string_view>
#include <vector>

#include "graph/program.h"

namespace sdgen {

struct LinearOptions {
  bool bias = true;
  Activation activation = Activation::kNone;
  ValueId residual = -1;
};
struct ConvOptions {
  int64_t kernel = 3, stride = 1;
  int64_t pad_before = 1, pad_after = 1;
  ValueId channel_add = -1;  // [N, O]
  Activation activation = Activation::kNone;
  ValueId residual = -1;
};

class Builder {
 public:
  /// `keep_marks`: named inner activations become outputs of the program.
  explicit Builder(std::string part, bool keep_marks = false);

  /// `steady`: it keeps its value over many runs; what depends on it alone is then computed once (graph/stages.h).
  ValueId input(std::string name, Shape shape, bool steady = false);
  void output(std::string name, ValueId value);
  /// Names an inner activation (a tensor of the fixtures); costs nothing unless marks are kept.
  void mark(const std::string& name, ValueId value);

  const Shape& shape(ValueId value) const { return program_.value(value).shape; }

  /// Also a 1×1 convolution: the file may hold [N, K] or [N, K, 1, 1].
  ValueId linear(const std::string& weight, ValueId x, int64_t out, const LinearOptions& options = {});
  ValueId conv2d(const std::string& weight, ValueId x, int64_t out, const ConvOptions& options = {});
  ValueId group_norm(const std::string& weight, ValueId x, int64_t groups, double eps, bool silu);
  ValueId layer_norm(const std::string& weight, ValueId x, double eps = 1e-5);
  ValueId attention(ValueId q, ValueId k, ValueId v, int64_t heads, bool causal = false);
  ValueId activation(ValueId x, Activation kind);
  ValueId geglu(ValueId x);
  ValueId add(ValueId a, ValueId b);
  ValueId scale(ValueId x, float factor);
  ValueId concat(ValueId a, ValueId b);
  ValueId resize_nearest(ValueId x, int64_t height, int64_t width);
  ValueId token_embedding(const std::string& token, const std::string& position, ValueId ids, int64_t vocabulary,
                          int64_t positions, int64_t width);
  ValueId timestep_embedding(ValueId t, int64_t dim);

  /// Plans the memory and gives the program away.
  Program finish();

 private:
  int32_t weight(std::string name, WeightLayout layout, std::vector<int64_t> shape);
  ValueId record(Op op, std::vector<ValueId> inputs, std::vector<int32_t> weights, Shape out, double flops);

  Program program_;
  bool keep_marks_;
};

/// Prefix arithmetic for weight names: Scope("unet.input_blocks") / 3 / "0" -> "unet.input_blocks.3.0".
class Scope {
 public:
  explicit Scope(std::string path) : path_(std::move(path)) {}
  Scope operator/(std::string_view name) const { return Scope(path_ + "." + std::string(name)); }
  Scope operator/(int64_t index) const { return Scope(path_ + "." + std::to_string(index)); }
  operator const std::string&() const noexcept { return path_; }

 private:
  std::string path_;
};

}  // namespace sdgen
