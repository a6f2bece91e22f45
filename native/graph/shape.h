#pragma once
// Dense row-major shapes of rank <= 4. Pictures are [N, H, W, C], token sequences [N, T, C], vectors [N, C].
#include <array>
#include <cstdint>
#include <initializer_list>
#include <string>

namespace sdgen {

class Shape {
 public:
  Shape() = default;
  Shape(std::initializer_list<int64_t> dims) {
    for (int64_t d : dims) dims_[static_cast<size_t>(rank_++)] = d;
  }
  int rank() const noexcept { return rank_; }
  int64_t operator[](int i) const noexcept { return dims_[static_cast<size_t>(i)]; }
  /// The innermost dimension: channels.
  int64_t channels() const noexcept { return rank_ == 0 ? 1 : dims_[static_cast<size_t>(rank_ - 1)]; }
  int64_t elements() const noexcept {
    int64_t n = 1;
    for (int i = 0; i < rank_; ++i) n *= dims_[static_cast<size_t>(i)];
    return n;
  }
  /// All dimensions but the innermost, multiplied.
  int64_t rows() const noexcept { return rank_ == 0 ? 1 : elements() / (channels() == 0 ? 1 : channels()); }
  /// Rows of one image of the batch: tokens or pixels.
  int64_t rows_per_image() const noexcept { return rows() / (dims_[0] == 0 ? 1 : dims_[0]); }
  Shape with_channels(int64_t c) const {
    Shape s = *this;
    s.dims_[static_cast<size_t>(rank_ - 1)] = c;
    return s;
  }
  bool operator==(const Shape&) const = default;
  std::string text() const {
    std::string out = "[";
    for (int i = 0; i < rank_; ++i) out += (i ? ", " : "") + std::to_string(dims_[static_cast<size_t>(i)]);
    return out + "]";
  }

 private:
  std::array<int64_t, 4> dims_{};
  int rank_ = 0;
};

}  // namespace sdgen
