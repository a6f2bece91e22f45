#pragma once
#include <cstdint>
#include <string>

namespace sdgen::bench {

struct Machine {
  std::string cpu;  // as the system names it
  int cores = 0;    // physical, that this process may use
  double memory_gib = 0;
};
Machine this_machine();

/// The largest resident set of this process so far, in MiB.
double peak_rss_mib();
/// Bytes of the last-level cache; 32 MiB where the system does not tell.
int64_t last_cache_bytes();

}  // namespace sdgen::bench
