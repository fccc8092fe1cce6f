// From the session's clock (TSC, CNTVCT_EL0) to nanoseconds since the recording began: piecewise
// linear through the pairs that were read together with CLOCK_MONOTONIC, so that a wrong estimate
// of the frequency, or its drift, shows nowhere. One thread: it remembers where it looked last.
#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>
#include <vector>

#include "schema/chunk_codec.h"

namespace kvmtape {

namespace detail {
inline int64_t scaled(uint64_t ticks, double ns_per_tick) {
  const double ns = static_cast<double>(ticks) * ns_per_tick;
  constexpr double kLimit = 9.2e18;
  return ns >= kLimit ? std::numeric_limits<int64_t>::max() / 2 : static_cast<int64_t>(ns + 0.5);
}
inline int64_t added(int64_t left, int64_t right) {
  int64_t sum = 0;
  if (!__builtin_add_overflow(left, right, &sum)) return sum;
  return right > 0 ? std::numeric_limits<int64_t>::max() : std::numeric_limits<int64_t>::min();
}
}  // namespace detail

class TraceClock {
 public:
  TraceClock() = default;
  // `pairs` in any order; those that contradict an earlier one are left out. `start` is where
  // nanosecond 0 lies. ticks_per_second 0: not known.
  TraceClock(ClockReading start, uint64_t ticks_per_second, std::vector<ClockReading> pairs);

  // Inline: they run for every exit, nearly always behind the same knot as the time before.
  int64_t time_ns(uint64_t ticks) const {
    const Knot& knot = knots_[hint_];
    return ticks >= knot.ticks && ticks < knot.end ? behind(knot, ticks) : find_time_ns(ticks);
  }
  int64_t duration_ns(uint64_t ticks) const { return detail::scaled(ticks, ns_per_tick_); }

 private:
  struct Knot {
    uint64_t ticks = 0;
    int64_t ns = 0;
    double ns_per_tick = 1;       // from here to the next knot
    uint64_t end = ~uint64_t{0};  // where that is
  };
  static int64_t behind(const Knot& knot, uint64_t ticks) {
    return detail::added(knot.ns, detail::scaled(ticks - knot.ticks, knot.ns_per_tick));
  }
  int64_t find_time_ns(uint64_t ticks) const;

  std::vector<Knot> knots_{Knot{}};  // never empty, rising
  double ns_per_tick_ = 1;           // over all; before the first knot too
  mutable size_t hint_ = 0;          // where the last lookup ended
};

}  // namespace kvmtape
