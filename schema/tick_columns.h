// Times in a chunk: 32-bit differences from the moment before, and an escape for those that do not
// fit or have no moment before. Both directions; internal to the chunk codec, inline because they
// run for every moment.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "schema/trace_format.h"

namespace kvmtape {

// What stands in the column; `previous_tsc` 0: there was no moment before.
inline uint32_t ticks_number(uint64_t tsc, uint64_t previous_tsc, std::vector<uint64_t>& escapes) {
  const uint64_t ticks = tsc - previous_tsc;
  if (previous_tsc != 0 && ticks < kTickAbsolute) [[likely]]
    return static_cast<uint32_t>(ticks);
  escapes.push_back(ticks);
  return previous_tsc == 0 ? kTickAbsolute : kTickEscape;
}

// The ticks that column[at] stands for; `escape` counts those taken. False: the escape is missing.
// The caller knows what kTickAbsolute means to it.
inline bool take_ticks(const std::vector<uint32_t>& column, size_t at,
                       const std::vector<uint64_t>& escapes, size_t& escape, uint64_t& ticks) {
  ticks = column[at];
  if (ticks < kTickAbsolute) [[likely]]
    return true;
  if (escape >= escapes.size()) return false;
  ticks = escapes[escape++];
  return true;
}

}  // namespace kvmtape
