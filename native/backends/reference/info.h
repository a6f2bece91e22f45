#pragma once
#include "backends/backend.h"

namespace sdgen::reference {

BackendInfo info();

}  // namespace sdgen::reference
