// The clock of a record on x86: the time-stamp counter, unserialised (8.6 ns against 20 ns for
// clock_gettime). Constant and synchronised on every CPU that KVM runs on today; the session
// records pairs of it and CLOCK_MONOTONIC.
#pragma once

#include <x86intrin.h>

#include <cstdint>

namespace kvmtape {

inline uint64_t read_clock() noexcept { return __rdtsc(); }
// Between two looks at what another CPU will write.
inline void pause_cpu() noexcept { _mm_pause(); }
inline constexpr const char* kClockName = "tsc";
// 0: the CPU does not tell; measured against CLOCK_MONOTONIC instead.
inline uint64_t clock_frequency() noexcept { return 0; }

}  // namespace kvmtape
