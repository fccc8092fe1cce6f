// What counting_monitor and the test that kills it share: a file that both map. Every number is
// atomic, since the monitor may be killed at any instruction.
#pragma once

#include <atomic>
#include <cstdint>

namespace kvmtape::testing {

inline constexpr uint32_t kCountingVcpus = 2;  // unless told otherwise
inline constexpr uint32_t kCountingVcpusMax = 64;

struct MonitorProgress {
  std::atomic<int32_t> pid;
  std::atomic<uint64_t> published[kCountingVcpusMax];  // KVM_RUNs that have returned
  std::atomic<uint32_t> please_end;
};

}  // namespace kvmtape::testing
