#pragma once
namespace sdgen {

/// Physical cores that this process may use (at least 1): one per (package, core) among the allowed processors.
int physical_cores();

}  // namespace sdgen
