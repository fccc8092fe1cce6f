// How fast a trace is read, how much memory that takes, and what other tools take for theirs.
// Everything runs on the calling thread, or in a child that is awaited; traces are files of the
// caller.
#pragma once

#include <cstdint>
#include <string>

#include "schema/base/result.h"

namespace kvmtape::bench {

struct ReadTime {
  double seconds = 0;  // median of several
  uint64_t exits = 0;
  double exits_per_second() const { return static_cast<double>(exits) / seconds; }
  double ns_per_moment() const { return seconds * 1e9 / static_cast<double>(2 * exits); }
};

// Reasons and times of all exits.
Result<ReadTime> time_counting(const std::string& trace);
// Raw bytes rebuilt and every field decoded, of both moments.
Result<ReadTime> time_decoding(const std::string& trace);
// The most heap that a walk over the trace holds, its reader included.
Result<uint64_t> reader_memory_bytes(const std::string& trace);

// Nanoseconds an event, or why not.
struct PeerReadTime {
  double ns_per_event = 0;
  std::string reason_skipped;
};
PeerReadTime time_babeltrace(const std::string& trace_directory, uint64_t events,
                             const std::string& directory);
// Records the page faults of `own_path --touch-pages`.
PeerReadTime time_perf_script(const std::string& own_path, const std::string& directory);

// What `kvmtape_bench --touch-pages` does: kPageFaults page faults.
inline constexpr uint64_t kPageFaults = 100'000;
void touch_pages();

}  // namespace kvmtape::bench
