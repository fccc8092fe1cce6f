#include "recorder/probe/guests/x86_64/battery.h"

#include <array>

namespace kvmtape {

std::span<const Guest* const> battery() {
  static constexpr std::array kBattery = {
      &x86::kIoOut,
      &x86::kIoIn,
      &x86::kIoStringOut,
      &x86::kIoStringIn,
      &x86::kMmioWrite,
      &x86::kMmioRead,
      &x86::kMmioSplit,
      &x86::kMmioReadOnlySlot,
      &x86::kHlt,
      &x86::kRealMode,
      &x86::kShutdown,
      &x86::kDebugInt3,
      &x86::kDebugSingleStep,
      &x86::kDebugHwBreakpoint,
      &x86::kDebugWatchpoint,
  };
  return kBattery;
}

}  // namespace kvmtape
