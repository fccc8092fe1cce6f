// The clock of a record on arm64: the virtual counter CNTVCT_EL0, whose frequency CNTFRQ_EL0 tells
// (Arm ARM D12.1). Readable from user space on Linux.
#pragma once

#include <cstdint>

namespace kvmtape {

inline uint64_t read_clock() noexcept {
  uint64_t ticks;
  asm volatile("mrs %0, cntvct_el0" : "=r"(ticks));
  return ticks;
}
// Between two looks at what another CPU will write.
inline void pause_cpu() noexcept { asm volatile("yield"); }
inline constexpr const char* kClockName = "cntvct";
inline uint64_t clock_frequency() noexcept {
  uint64_t hertz;
  asm volatile("mrs %0, cntfrq_el0" : "=r"(hertz));
  return hertz;
}

}  // namespace kvmtape
