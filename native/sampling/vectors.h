#pragma once
// The latents' vectors of one run: whole batches on the device, written over by a handful of fused ops.
#include <memory>
#include <span>
#include <vector>

#include "backends/backend.h"

namespace sdgen {

/// A handle into Vectors.
struct Vec {
  int index = -1;
};

struct Term {
  double coefficient;  // rounded once to float32
  Vec vector;
};

class Vectors {
 public:
  Vectors(Backend& backend, int64_t count) : backend_(backend), count_(count) {}

  Vec make() {
    buffers_.push_back(backend_.allocate(static_cast<uint64_t>(count_) * sizeof(float)));
    return {static_cast<int>(buffers_.size()) - 1};
  }
  VectorView view(Vec v) const { return {buffers_[static_cast<size_t>(v.index)].get(), 0, count_}; }
  int64_t count() const noexcept { return count_; }
  Backend& backend() const noexcept { return backend_; }

  /// out = c0·v0, then one fma for each further term, in the order written.
  void lincomb(Vec out, const std::vector<Term>& terms) {
    std::vector<LincombTerm> list;
    for (const Term& term : terms) list.push_back({static_cast<float>(term.coefficient), view(term.vector)});
    backend_.lincomb(view(out), list);
  }
  void upload(Vec to, const float* values) { backend_.upload(*view(to).buffer, 0, values, count_ * 4); }
  void download(Vec from, float* values) const { backend_.download(*view(from).buffer, 0, values, count_ * 4); }

 private:
  Backend& backend_;
  int64_t count_;
  std::vector<std::unique_ptr<Buffer>> buffers_;
};

}  // namespace sdgen
