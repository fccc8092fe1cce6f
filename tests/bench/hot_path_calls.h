// Whether capture allocates or makes system calls: counted, not assumed. A child process opens a
// session, then lets the kernel trap every system call of the one thread that replays the workload.
#pragma once

#include <cstdint>
#include <string>

#include "tests/bench/workload.h"

namespace kvmtape::bench {

struct HotPathCalls {
  uint64_t exits = 0;
  uint64_t system_calls = 0;
  uint64_t allocations = 0;    // operator new
  std::string reason_skipped;  // empty: it was counted
};

HotPathCalls count_hot_path_calls(const Workload& workload, const std::string& directory);

}  // namespace kvmtape::bench
