#pragma once
// The ops of the fp16 path that files of their own launch.
#include "backends/cuda/call.h"

namespace sdgen::cuda::fast {

void run_op(const LinearOp& op, const OpCall& call);
void run_op(const Conv2dOp& op, const OpCall& call);
/// Bytes for the sums of splits of k.
int64_t product_scratch(const LinearOp& op, const Shape& x);
int64_t product_scratch(const Conv2dOp& op, const Shape& x);

}  // namespace sdgen::cuda::fast
