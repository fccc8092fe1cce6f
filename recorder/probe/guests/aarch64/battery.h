// The guests of aarch64: each is a source of its own in this folder, named as the guest. What they
// all need is included here.
#pragma once

#include "recorder/probe/coalesced_ring.h"
#include "recorder/probe/guest.h"
#include "recorder/probe/guest_code.h"
#include "recorder/probe/guests/aarch64/cpu.h"
#include "recorder/probe/machine.h"
#include "recorder/probe/stage.h"
#include "recorder/probe/vcpu.h"

namespace kvmtape::arm64 {

extern const Guest kMmioWrite;
extern const Guest kMmioRead;
extern const Guest kMmioReadSigned;
extern const Guest kMmioHigh;
extern const Guest kMmioBigEndian;
extern const Guest kMmioReadOnlySlot;
extern const Guest kCoalescedMmio;
extern const Guest kCoalescedMmioFull;
extern const Guest kNisv;
extern const Guest kNisvAbort;
extern const Guest kNisvEnosys;
extern const Guest kFetchFromMmio;
extern const Guest kDebugBrk;
extern const Guest kBrkByGuest;
extern const Guest kDebugSingleStep;
extern const Guest kDebugStepMmio;
extern const Guest kDebugStepHvc;
extern const Guest kDebugHwBreakpoint;
extern const Guest kDebugWatchpointRead;
extern const Guest kDebugWatchpointWrite;
extern const Guest kOsLock;
extern const Guest kOsLockBreakpoint;
extern const Guest kOsLockStep;
extern const Guest kIdAa64dfr0;
extern const Guest kPsciFeatures;
extern const Guest kPsciOff;
extern const Guest kPsciReset;
extern const Guest kPsciReset2;
extern const Guest kPsciReset2Vendor;
extern const Guest kPsciOff2;
extern const Guest kPsciSuspend;
extern const Guest kHypercallHvc;
extern const Guest kHypercallSmc;
extern const Guest kExternalAbort;
extern const Guest kSerror;
extern const Guest kSerrorEsr;
extern const Guest kDirtyRing;
extern const Guest kIntrSignal;
extern const Guest kIntrImmediate;
extern const Guest kSeveralVcpus;
extern const Guest kRunEnoexec;
extern const Guest kBadMemory;

}  // namespace kvmtape::arm64
