// Scripts that several guests of aarch64 play, each with its own code. Errors are the stage's; one
// thread, that of the guest's script.
#pragma once

#include <cstdint>
#include <string_view>

#include "recorder/probe/guest_code.h"
#include "recorder/probe/guests/aarch64/cpu.h"
#include "recorder/probe/stage.h"

namespace kvmtape::arm64 {

// A watchpoint on kDataAddress: `code` touches its page, then kMmioAddress, then the address so,
// and stores to kMmioAddress + 8. Kernels that take the address of the last stage-2 fault give
// another debug.arch.far than the watched one.
void play_watchpoint(Stage& stage, GuestCode code, Watched how);

// `code` makes a vendor's SMCCC call that a filter hands to user space, 0xc6000010, and stores what
// it got to kMmioAddress: KVM_EXIT_HYPERCALL, whose flags say by which instruction, answered.
enum class Conduit : uint8_t { kHvc, kSmc };
void play_forwarded_call(Stage& stage, GuestCode code, Conduit conduit);

// `code` makes a PSCI call that some kernels do not know, and stores what such a one gave it:
// KVM_EXIT_SYSTEM_EVENT of this KVM_SYSTEM_EVENT_ type, or refused.
struct PsciCall {
  std::string_view name;  // "SYSTEM_OFF2"
  uint32_t event_type;
  std::string_view event_name;  // "SHUTDOWN"
};
void play_psci_call(Stage& stage, GuestCode code, const PsciCall& call);

}  // namespace kvmtape::arm64
