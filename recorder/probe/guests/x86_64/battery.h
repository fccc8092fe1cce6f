// The guests of x86-64: each is a source of its own in this folder, named as the guest. What they
// all need is included here.
#pragma once

#include "recorder/probe/coalesced_ring.h"
#include "recorder/probe/guest.h"
#include "recorder/probe/guest_code.h"
#include "recorder/probe/guests/x86_64/cpu.h"
#include "recorder/probe/machine.h"
#include "recorder/probe/stage.h"
#include "recorder/probe/vcpu.h"

namespace kvmtape::x86 {

extern const Guest kIoOut;
extern const Guest kIoIn;
extern const Guest kIoStringOut;
extern const Guest kIoStringIn;
extern const Guest kMmioWrite;
extern const Guest kMmioRead;
extern const Guest kMmioSplit;
extern const Guest kMmioReadOnlySlot;
extern const Guest kCoalescedMmio;
extern const Guest kCoalescedMmioFull;
extern const Guest kCoalescedPio;
extern const Guest kHlt;
extern const Guest kRealMode;
extern const Guest kSyncRegs;
extern const Guest kShutdown;
extern const Guest kDebugInt3;
extern const Guest kDebugInt3User;
extern const Guest kDebugSingleStep;
extern const Guest kDebugHwBreakpoint;
extern const Guest kDebugWatchpoint;
extern const Guest kDebugWatchpointUser;
extern const Guest kEmulationFailure;
extern const Guest kEmulationFailureUser;
extern const Guest kFetchFromMmio;
extern const Guest kEventDelivery;
extern const Guest kFailEntry;
extern const Guest kInvalidSregs;
extern const Guest kSetTpr;
extern const Guest kTprAccess;
extern const Guest kIrqWindow;
extern const Guest kIoapicEoi;
extern const Guest kMsrUnknown;
extern const Guest kMsrFilter;
extern const Guest kHypercall;
extern const Guest kDirtyRing;
extern const Guest kIntrSignal;
extern const Guest kIntrImmediate;
extern const Guest kSeveralVcpus;
extern const Guest kRunEinval;
extern const Guest kBadMemory;
extern const Guest kMemoryFault;
extern const Guest kBusLock;
extern const Guest kXenHypercall;
extern const Guest kHypervSynic;
extern const Guest kHypervCrash;

}  // namespace kvmtape::x86
