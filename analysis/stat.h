// Counts a recording: how often each exit came, and how long guest and monitor took, by exit and
// below it by port, MMIO address, MSR, hypercall or exception class; of all vCPUs together or of
// each. Memory is constant in the length of the trace: beyond a number of keys the rest is counted
// together. One thread.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "analysis/histogram.h"
#include "replayer/trace_reader.h"

namespace kvmtape {

struct StatRow {
  std::optional<uint32_t> vcpu = {};  // index; none: all of them
  std::string exit;                   // exit_label()
  // exit_key_text(), "mmio VGA memory, 376 addresses"; empty: all of this exit.
  std::string key;
  uint64_t count = 0;
  Histogram guest_ns;    // in KVM_RUN before it
  Histogram monitor_ns;  // from the exit to the answer
};

struct Stat {
  uint64_t exits = 0;  // selected
  uint64_t lost = 0;
  std::map<uint32_t, uint64_t> lost_of;  // by vCPU index; those that lost none are left out
  // What was looked at, in time from the start of the recording: for rates.
  int64_t from_ns = 0;
  int64_t to_ns = 0;
  // Sorted as asked, each exit followed by its keys, sorted as well; by vCPU first, if asked.
  std::vector<StatRow> rows;
};

enum class StatKeys : uint8_t {
  kNone,
  kAll,
  // Exits that have such a key, and no others among the rows.
  kPort,
  kAddress,
  kMsr,
  kHypercall,
  kEc,
};
// Greatest first, but for names: times are totals, p99 and max the monitor's.
enum class StatSort : uint8_t { kCount, kGuest, kMonitor, kP99, kMax, kName };

struct StatOptions {
  Selection selection;
  StatKeys keys = StatKeys::kAll;  // need every exit decoded, as do selected reasons
  bool by_vcpu = false;
  StatSort sort = StatSort::kCount;
  // Of an exit with more guest addresses than this, those that come to at most a hundredth of its
  // count (or time, by what is sorted) are one row for each place that they lie in; 0: never. There
  // are no hundredths of what does not add up: p99, max, names.
  size_t addresses_max = 0;
  uint64_t skip = 0;  // exits at the beginning that are not counted
};

// Without keys and with nothing selected but vCPUs it reads four columns and decodes nothing.
Stat count_exits(TraceReader& reader, const StatOptions& options);

// One Stat for each interval of that length in which something happened, in order of time; until
// `each` returns false.
void count_intervals(TraceReader& reader, const StatOptions& options, int64_t interval_ns,
                     const std::function<bool(const Stat&)>& each);

// Where an earlier count of a recording that still runs ended, by vCPU index.
using StatProgress = std::map<uint32_t, uint64_t>;  // first sequence that was not counted
// What came since, exactly once: an exit that waits for its answer is left for the next time.
Stat count_new_exits(TraceReader& reader, const StatOptions& options, StatProgress& progress);

}  // namespace kvmtape
