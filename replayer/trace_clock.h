// From the session's clock (TSC, CNTVCT_EL0) to nanoseconds since the recording began: piecewise
// linear through the pairs that were read together with CLOCK_MONOTONIC, so that a wrong estimate
// of the frequency, or its drift, shows nowhere. Built once, then only read.
#pragma once

#include <cstdint>
#include <vector>

#include "schema/chunk_codec.h"

namespace kvmtape {

class TraceClock {
 public:
  TraceClock() = default;
  // `pairs` in any order; those that contradict an earlier one are left out. `start` is where
  // nanosecond 0 lies. ticks_per_second 0: not known.
  TraceClock(ClockReading start, uint64_t ticks_per_second, std::vector<ClockReading> pairs);

  int64_t time_ns(uint64_t ticks) const;
  int64_t duration_ns(uint64_t ticks) const;

 private:
  struct Knot {
    uint64_t ticks = 0;
    int64_t ns = 0;
    double ns_per_tick = 1;  // from here to the next knot
  };
  std::vector<Knot> knots_{Knot{}};  // never empty, rising
  double ns_per_tick_ = 1;           // over all; before the first knot too
  mutable size_t hint_ = 0;          // where the last lookup ended
};

}  // namespace kvmtape
