// The session's clocks read together, and what follows from two such readings. Any thread; reading
// takes a few hundred nanoseconds and no system call (vDSO).
#pragma once

#include <cstdint>
#include <optional>

#include "schema/chunk_codec.h"

namespace kvmtape {

uint64_t monotonic_now_ns();

// The record clock (TSC, CNTVCT_EL0) as close as possible to the reading of CLOCK_MONOTONIC: of a
// few tries the one with the least time between two readings of it.
ClockReading read_clocks();

// The same where records are stamped with CLOCK_MONOTONIC itself: ticks are nanoseconds.
ClockReading read_monotonic_clocks();
inline constexpr const char* kMonotonicClockName = "monotonic-ns";

// The clock of a recording: one of the two above, or one that a test turns.
using ClockReader = ClockReading (*)();

// What `clock` would say of its ticks, for what is stamped often: one reading of one clock.
uint64_t ticks_now(ClockReader clock);

// nullopt: too close together to tell.
std::optional<uint64_t> ticks_per_second(const ClockReading& from, const ClockReading& to);

}  // namespace kvmtape
