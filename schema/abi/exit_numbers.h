// KVM_EXIT_ numbers that code asks for by themselves (exit_reasons.csv has all), and errno values
// as traces hold them (Linux generic numbers). include/uapi/linux/kvm.h of Linux 7.3,
// asm-generic/errno.h. Constants only.
#pragma once

#include <cstdint>

namespace kvmtape {

enum ExitNumber : uint32_t {
  kExitUnknown = 0,
  kExitException = 1,
  kExitIo = 2,
  kExitHypercall = 3,
  kExitDebug = 4,
  kExitHlt = 5,
  kExitMmio = 6,
  kExitIrqWindowOpen = 7,
  kExitShutdown = 8,
  kExitFailEntry = 9,
  kExitIntr = 10,
  kExitDcr = 15,
  kExitNmi = 16,
  kExitInternalError = 17,
  kExitPaprHcall = 19,
  kExitSystemEvent = 24,
  kExitIoapicEoi = 26,
  kExitHyperv = 27,
  kExitArmNisv = 28,
  kExitX86Rdmsr = 29,
  kExitX86Wrmsr = 30,
  kExitApResetHold = 32,
  kExitXen = 34,
  kExitRiscvSbi = 35,
  kExitRiscvCsr = 36,
  kExitNotify = 37,
  kExitLoongarchIocsr = 38,
  kExitMemoryFault = 39,
  kExitArmSea = 41,
};

// A set of them is a word with a bit for each.
constexpr uint64_t set_of_exits(auto... reasons) { return ((uint64_t{1} << reasons) | ...); }
constexpr bool holds_exit(uint64_t set, uint32_t reason) {
  return reason < 64 && (set >> reason & 1) != 0;
}

enum ErrorNumber : int32_t {
  kErrorPerm = 1,
  kErrorIntr = 4,
  kErrorIo = 5,
  kErrorNoExec = 8,
  kErrorAgain = 11,
  kErrorNoMemory = 12,
  kErrorFault = 14,
  kErrorInvalid = 22,
  kErrorNoSys = 38,
  kErrorHwPoison = 133,
};

inline constexpr int32_t kErrnoMax = 4095;  // MAX_ERRNO of include/linux/err.h

enum SystemEventType : uint64_t {
  kEventShutdown = 1,
  kEventReset = 2,
  kEventCrash = 3,
  kEventWakeup = 4,
  kEventSuspend = 5,
  kEventSevTerm = 6,
  kEventTdxFatal = 7,
};

enum InternalSuberror : uint64_t {
  kSuberrorEmulation = 1,
  kSuberrorSimulEx = 2,
  kSuberrorDeliveryEv = 3,
  kSuberrorUnexpectedExit = 4,
};

}  // namespace kvmtape
