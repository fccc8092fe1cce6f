#include "recorder/probe/guests/aarch64/battery.h"

#include <array>

namespace kvmtape {

std::span<const Guest* const> battery() {
  static constexpr std::array kBattery = {
      &arm64::kMmioWrite,
      &arm64::kMmioRead,
      &arm64::kMmioReadSigned,
      &arm64::kMmioHigh,
      &arm64::kMmioBigEndian,
      &arm64::kMmioReadOnlySlot,
      &arm64::kCoalescedMmio,
      &arm64::kCoalescedMmioFull,
      &arm64::kNisv,
      &arm64::kNisvAbort,
      &arm64::kNisvEnosys,
      &arm64::kFetchFromMmio,
      &arm64::kDebugBrk,
      &arm64::kBrkByGuest,
      &arm64::kDebugSingleStep,
      &arm64::kDebugStepMmio,
      &arm64::kDebugStepHvc,
      &arm64::kDebugHwBreakpoint,
      &arm64::kDebugWatchpointRead,
      &arm64::kDebugWatchpointWrite,
      &arm64::kOsLock,
      &arm64::kOsLockBreakpoint,
      &arm64::kOsLockStep,
      &arm64::kIdAa64dfr0,
      &arm64::kPsciFeatures,
      &arm64::kPsciOff,
      &arm64::kPsciReset,
      &arm64::kPsciReset2,
      &arm64::kPsciReset2Vendor,
      &arm64::kPsciOff2,
      &arm64::kPsciSuspend,
      &arm64::kHypercallHvc,
      &arm64::kHypercallSmc,
      &arm64::kExternalAbort,
      &arm64::kSerror,
      &arm64::kSerrorEsr,
      &arm64::kDirtyRing,
      &arm64::kIntrSignal,
      &arm64::kIntrImmediate,
      &arm64::kSeveralVcpus,
      &arm64::kRunEnoexec,
      &arm64::kBadMemory,
  };
  return kBattery;
}

}  // namespace kvmtape
