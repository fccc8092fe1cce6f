// The exits that a repeat stands for, by number and time: a flight recorder folds exits that are
// alike, and whoever counts exits counts those as well. Plain data and a function, any thread.
#pragma once

#include <algorithm>
#include <cstdint>

#include "replayer/trace_reader.h"

namespace kvmtape {

// `count` of the item's record exits, from first_seq to last_seq.
struct RepeatedExits {
  uint64_t first_seq = 0, last_seq = 0;
  int64_t first_ns = 0, last_ns = 0;  // of the first and the last exit, not of their answers
};

// Not by of_seq and count: of a repeat that an earlier chunk told in part only the rest is left.
inline RepeatedExits repeated_exits(const Item& item, const TraceReader& reader) {
  const uint64_t last = item.side->next_seq - 1;
  const int64_t last_ns = std::min(reader.time_ns(item.repeat.last_tsc), item.time_ns);
  return {last - (item.repeat.count - 1), last,
          std::min(reader.time_ns(item.repeat.first_tsc), last_ns), last_ns};
}

}  // namespace kvmtape
