// What `kvmtape diff` takes to compare ten million exits with ten million. The tool runs as a child
// that is awaited; recordings lie under `directory` meanwhile. One thread.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace kvmtape::bench {

struct DiffCost {
  double share = 0;        // of the exits that were edited
  double seconds = 0;      // of wall clock: two threads work together
  double cpu_seconds = 0;  // of both: what other load on the machine changes least
  uint64_t peak_bytes = 0;
  std::string reason_skipped;
};

// At 0.1 %, 5 % and 50 %.
std::vector<DiffCost> measure_diff(const std::string& directory);

}  // namespace kvmtape::bench
