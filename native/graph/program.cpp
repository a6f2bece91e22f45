#include "graph/program.h"

#include "base/error.h"

namespace sdgen {

const char* op_name(const Op& op) noexcept {
  return std::visit([](const auto& record) { return record.kName; }, op);
}

ValueId Program::named(const std::string& name) const {
  for (const auto* list : {&inputs, &outputs}) {
    for (ValueId id : *list) {
      if (value(id).name == name) return id;
    }
  }
  throw Error(ErrorCode::kInternal, "program '" + part + "' has no input or output named '" + name + "'");
}

}  // namespace sdgen
