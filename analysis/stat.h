// Counts a recording: how often each exit came, and how long guest and monitor took, by exit and
// below it by port, MMIO address, MSR or hypercall. Memory is constant in the length of the trace:
// beyond kKeysMax keys of one exit the rest is counted together. One thread.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "analysis/histogram.h"
#include "replayer/trace_reader.h"

namespace kvmtape {

struct StatRow {
  std::string exit;  // exit_label()
  std::string key;   // exit_key_text(); empty: all of this exit
  uint64_t count = 0;
  Histogram guest_ns;    // in KVM_RUN before it
  Histogram monitor_ns;  // from the exit to the answer
};

struct Stat {
  uint64_t exits = 0;  // selected
  uint64_t lost = 0;
  // Most frequent exit first, each followed by its keys, most frequent first.
  std::vector<StatRow> rows;
};

struct StatOptions {
  Selection selection;
  bool keys = true;   // below each exit; needs every exit decoded, as do selected reasons
  uint64_t skip = 0;  // exits at the beginning that are not counted
};

Stat count_exits(TraceReader& reader, const StatOptions& options);

}  // namespace kvmtape
