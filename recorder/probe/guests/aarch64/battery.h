// The guests of aarch64: each is a source of its own in this folder, named as the guest. What they
// all need is included here.
#pragma once

#include "recorder/probe/guest.h"
#include "recorder/probe/guest_code.h"
#include "recorder/probe/machine.h"
#include "recorder/probe/stage.h"
#include "recorder/probe/vcpu.h"

namespace kvmtape::arm64 {

extern const Guest kMmioWrite;
extern const Guest kMmioRead;
extern const Guest kPsciOff;

}  // namespace kvmtape::arm64
