#pragma once
// Each call's fastest time over several runs: what a part takes where no neighbour of the machine is in the way. A run of
// seconds is never spared by all of them, a call of milliseconds now and then is.
#include <algorithm>
#include <limits>
#include <string>
#include <vector>

#include "bench/clock.h"
#include "bench/report.h"
#include "graph/program.h"

namespace sdgen::bench {

class CallTimes {
 public:
  void begin_run() {
    next_ = 0;
    last_ = now();
  }
  /// To be called after each node, in the order of the run, which is the same in every run.
  void after(const Node& node) {
    const double time = now(), seconds = time - last_;
    if (next_ == calls_.size()) calls_.push_back({op_name(node.op), std::numeric_limits<double>::infinity()});
    calls_[next_].seconds = std::min(calls_[next_].seconds, seconds);
    ++next_;
    last_ = now();
  }
  double seconds(const std::string& op) const { return sum([&](const Call& call) { return call.op == op; }); }
  double seconds() const { return sum([](const Call&) { return true; }); }

 private:
  struct Call {
    std::string op;
    double seconds;
  };
  template <typename Wanted>
  double sum(const Wanted& wanted) const {
    double total = 0;
    for (const Call& call : calls_) total += wanted(call) ? call.seconds : 0;
    return total;
  }

  std::vector<Call> calls_;
  size_t next_ = 0;
  double last_ = 0;
};

}  // namespace sdgen::bench
