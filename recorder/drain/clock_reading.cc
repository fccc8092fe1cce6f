#include "recorder/drain/clock_reading.h"

#include <time.h>

#include "recorder/ring/clock.h"

namespace kvmtape {
namespace {

uint64_t now_ns(clockid_t clock) {
  timespec time{};
  clock_gettime(clock, &time);
  return static_cast<uint64_t>(time.tv_sec) * 1'000'000'000u + static_cast<uint64_t>(time.tv_nsec);
}

}  // namespace

uint64_t monotonic_now_ns() { return now_ns(CLOCK_MONOTONIC); }

ClockReading read_clocks() {
  ClockReading best;
  uint64_t best_width = ~uint64_t{0};
  for (int i = 0; i < 5; ++i) {
    const uint64_t before = read_clock();
    const uint64_t monotonic = now_ns(CLOCK_MONOTONIC);
    const uint64_t after = read_clock();
    if (after - before >= best_width) continue;
    best_width = after - before;
    best = {before + (after - before) / 2, monotonic, 0};
  }
  best.realtime_ns = now_ns(CLOCK_REALTIME);
  return best;
}

ClockReading read_monotonic_clocks() {
  const uint64_t now = monotonic_now_ns();
  return {now, now, now_ns(CLOCK_REALTIME)};
}

uint64_t ticks_now(ClockReader clock) {
  if (clock == read_clocks) return read_clock();
  if (clock == read_monotonic_clocks) return monotonic_now_ns();
  return clock().ticks;
}

std::optional<uint64_t> ticks_per_second(const ClockReading& from, const ClockReading& to) {
  const uint64_t ns = to.monotonic_ns - from.monotonic_ns;
  if (to.ticks <= from.ticks || ns < 500'000) return std::nullopt;
  return static_cast<uint64_t>(static_cast<double>(to.ticks - from.ticks) * 1e9 /
                               static_cast<double>(ns));
}

}  // namespace kvmtape
