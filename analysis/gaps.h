// Where exits are missing in a recording, in order of time, as its reader hands them out. The list
// owns what it holds and its memory is bounded. One thread: that of the reader.
#pragma once

#include <cstddef>
#include <vector>

#include "replayer/trace_reader.h"

namespace kvmtape {

struct VcpuGap {
  uint32_t vcpu_index = 0;
  Gap gap;
};

struct GapList {
  std::vector<VcpuGap> gaps;  // the first kMax
  uint64_t left_out = 0;      // gaps beyond those
  static constexpr size_t kMax = 10000;
};

// Walks the trace, unless the reader knows that nothing is missing.
GapList find_gaps(TraceReader& reader);

}  // namespace kvmtape
