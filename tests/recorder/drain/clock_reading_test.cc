// The clocks of a recording, read together and one alone.
#include "recorder/drain/clock_reading.h"

#include <gtest/gtest.h>

namespace kvmtape::testing {
namespace {

class EachClock : public ::testing::TestWithParam<ClockReader> {};

TEST_P(EachClock, TicksAloneAreTheTicksOfTheClocksReadTogether) {
  const ClockReader clock = GetParam();
  const uint64_t before = clock().ticks;
  const uint64_t ticks = ticks_now(clock);
  const uint64_t after = clock().ticks;
  EXPECT_LE(before, ticks);
  EXPECT_LE(ticks, after);
}

INSTANTIATE_TEST_SUITE_P(ClockReading, EachClock,
                         ::testing::Values(read_clocks, read_monotonic_clocks));

}  // namespace
}  // namespace kvmtape::testing
