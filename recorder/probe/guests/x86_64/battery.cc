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
      &x86::kCoalescedMmio,
      &x86::kCoalescedMmioFull,
      &x86::kCoalescedPio,
      &x86::kHlt,
      &x86::kRealMode,
      &x86::kSyncRegs,
      &x86::kShutdown,
      &x86::kDebugInt3,
      &x86::kDebugInt3User,
      &x86::kDebugSingleStep,
      &x86::kDebugHwBreakpoint,
      &x86::kDebugWatchpoint,
      &x86::kDebugWatchpointUser,
      &x86::kEmulationFailure,
      &x86::kEmulationFailureUser,
      &x86::kFetchFromMmio,
      &x86::kEventDelivery,
      &x86::kFailEntry,
      &x86::kInvalidSregs,
      &x86::kSetTpr,
      &x86::kTprAccess,
      &x86::kIrqWindow,
      &x86::kIoapicEoi,
      &x86::kMsrUnknown,
      &x86::kMsrFilter,
      &x86::kHypercall,
      &x86::kDirtyRing,
      &x86::kIntrSignal,
      &x86::kIntrImmediate,
      &x86::kSeveralVcpus,
      &x86::kRunEinval,
      &x86::kBadMemory,
      &x86::kMemoryFault,
      &x86::kBusLock,
      &x86::kXenHypercall,
      &x86::kHypervSynic,
      &x86::kHypervCrash,
  };
  return kBattery;
}

}  // namespace kvmtape
