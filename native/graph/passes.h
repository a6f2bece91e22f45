#pragma once
// Rewrites of a program that backends ask for. None changes what is computed; plan_memory() must follow.
#include <functional>

#include "graph/program.h"

namespace sdgen {

/// GEGLU joins the linear before it, if nothing else reads that and `splits(outputs of the linear)` agrees.
void fuse_geglu(Program& program, const std::function<bool(int64_t out)>& splits);

/// Intermediates are stored as `element`, and so are the operands of all ops but the embeddings. Inputs and outputs of
/// the program stay as they are: a store op stands between, unless a product can write the output itself.
void lower_storage(Program& program, Element element);

/// The pictures that convolutions read get their padding as zeros around them: from the group norm or resize that writes
/// them if nothing else reads them, else by a store op.
void give_halos(Program& program);

}  // namespace sdgen
