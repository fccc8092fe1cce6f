#include "recorder/session_header.h"

#include <unistd.h>

#include <filesystem>

#include "recorder/ring/clock.h"

namespace kvmtape {

void start_clocks(Session& session, ClockReader clock) {
  session.start = clock();
  if (clock == read_monotonic_clocks) {
    session.clock_name = kMonotonicClockName;
    session.ticks_per_second = 1'000'000'000;
    return;
  }
  session.ticks_per_second = clock_frequency();
  if (session.ticks_per_second == 0) {
    ::usleep(2000);
    session.ticks_per_second = ticks_per_second(session.start, read_clocks()).value_or(0);
  }
}

std::string recorder_text(std::string_view which) {
  return std::string("kvmtape ").append(KVMTAPE_VERSION).append(" ").append(which);
}

std::string register_policy_text(RegisterPolicy policy, uint32_t every) {
  switch (policy) {
    case RegisterPolicy::kNever:
      return "never";
    case RegisterPolicy::kSync:
      return "sync";
    case RegisterPolicy::kEvery:
      return "every=" + std::to_string(every);
    case RegisterPolicy::kDebugExits:
      return "debug-exits";
  }
  return {};
}

void remove_ring_directory(const std::string& directory, bool parent_is_ours) {
  if (directory.empty()) return;
  std::error_code ignored;
  std::filesystem::remove_all(directory, ignored);
  // Empty unless another session uses it.
  if (parent_is_ours)
    std::filesystem::remove(std::filesystem::path(directory).parent_path(), ignored);
}

}  // namespace kvmtape
