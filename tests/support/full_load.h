// What tests under full load share: how long they last, and how much memory the process that is
// loaded, this one or another, takes. Any thread.
#pragma once

#include <time.h>
#include <unistd.h>

#include <cstdint>
#include <cstdlib>
#include <fstream>
#include <string>

namespace kvmtape::testing {

inline constexpr int kSecondsToSettle = 60;  // until every buffer has seen its largest chunk
inline constexpr uint64_t kGrowthMax = 16u << 20;

// Five; KVMTAPE_LOAD_SECONDS where that is set, as `./dev soak` does.
inline int load_seconds() {
  const char* seconds = std::getenv("KVMTAPE_LOAD_SECONDS");
  return seconds == nullptr ? 5 : std::atoi(seconds);
}

// By CLOCK_PROCESS_CPUTIME_ID or CLOCK_THREAD_CPUTIME_ID.
inline uint64_t cpu_ns(clockid_t clock) {
  timespec now{};
  ::clock_gettime(clock, &now);
  return static_cast<uint64_t>(now.tv_sec) * 1'000'000'000 + static_cast<uint64_t>(now.tv_nsec);
}

// What the host took of all processors' time since this machine started, where it runs under one.
inline double stolen_seconds() {
  std::ifstream stat("/proc/stat");
  std::string line;
  stat >> line;
  double ticks = 0;
  for (int i = 0; i < 8; ++i) stat >> ticks;  // the eighth is steal (proc(5))
  return ticks / static_cast<double>(::sysconf(_SC_CLK_TCK));
}

// `process` as in /proc: a number, or "self".
inline uint64_t resident_bytes(const std::string& process) {
  std::ifstream statm("/proc/" + process + "/statm");
  uint64_t size = 0, resident = 0;
  statm >> size >> resident;
  return resident * static_cast<uint64_t>(::sysconf(_SC_PAGESIZE));
}

}  // namespace kvmtape::testing
