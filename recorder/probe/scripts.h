// Scripts and steps of guests that are the same on every architecture, but for the guest's code.
// Errors are the stage's; one thread, that of the guest's script.
#pragma once

#include <cstddef>
#include <cstdint>

#include "recorder/probe/guest_code.h"
#include "recorder/probe/machine.h"
#include "recorder/probe/stage.h"

namespace kvmtape {

// Has the page at kMmioAddress coalesced; the page of the mapping where the ring is
// (CoalescedRing).
int coalesce_mmio(Machine& machine);

// `code` spins: a signal ends its KVM_RUN with EINTR, KVM_EXIT_INTR.
void play_signal(Stage& stage, GuestCode code);

// A page at 0x40000000 whose user memory is not accessible.
void add_inaccessible_memory(Machine& machine);
// `code` touches it: EFAULT.
void play_inaccessible_memory(Stage& stage, GuestCode code);

// `code` writes to more pages than the dirty ring has entries, then leaves with `last_exit`:
// KVM_EXIT_DIRTY_RING_FULL, and after KVM_RESET_DIRTY_RINGS, with the entries collected, it goes
// on.
struct DirtyRing {
  size_t memory_bytes;
  uint32_t ring_bytes;
  uint32_t last_exit;
};
void play_dirty_ring(Stage& stage, GuestCode code, const DirtyRing& with);

}  // namespace kvmtape
