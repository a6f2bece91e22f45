#pragma once
// What the VAE gives in a narrow type may overflow where float32 does not: the same once more in float32.
#include <functional>
#include <memory>
#include <string>

#include "base/error.h"
#include "engine/model_runner.h"

namespace sdgen {

/// A runner of the same model in float32, made when it is needed; empty where the first one computes in it already.
using ExactRunner = std::function<ModelRunner()>;

/// A part of a model on one runner and, from the first value on that is not finite, on one in float32 beside it.
template <class Part>
class ExactRetry {
 public:
  using Make = std::function<std::unique_ptr<Part>(ModelRunner&)>;

  ExactRetry(ModelRunner& runner, const ExactRunner& exact, Make make) : exact_(exact), make_(std::move(make)), part_(make_(runner)) {}

  /// `work` says whether all that it made is finite; where it is not, it is done again in float32. Returns whether it was.
  /// Throws kNonFinite with `what` when that does not help, or cannot be had.
  bool run(const std::function<bool(Part&)>& work, const std::string& what) {
    if (work(*part_)) return false;
    if (exact_ && !exact_part_) {
      exact_runner_ = std::make_unique<ModelRunner>(exact_());
      exact_part_ = make_(*exact_runner_);
    }
    if (!exact_part_ || !work(*exact_part_)) throw Error(ErrorCode::kNonFinite, what);
    return true;
  }

 private:
  const ExactRunner& exact_;
  Make make_;
  std::unique_ptr<Part> part_;
  std::unique_ptr<ModelRunner> exact_runner_;
  std::unique_ptr<Part> exact_part_;  // on it, so after it
};

}  // namespace sdgen
