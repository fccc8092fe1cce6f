// A guest that writes to more pages than its dirty ring has entries: KVM_EXIT_DIRTY_RING_FULL.
// After KVM_RESET_DIRTY_RINGS, with the entries marked as collected, it goes on.
#include "recorder/probe/guests/x86_64/battery.h"
#include "recorder/probe/scripts.h"

namespace kvmtape::x86 {

KVMTAPE_GUEST_CODE(dirty_ring_code, R"(
    mov $0x100000, %ebx
1:  movl %ebx, (%rbx)
    add $0x1000, %ebx
    cmp $0x700000, %ebx
    jb 1b
    hlt
)");

namespace {

// A ring must hold a page's worth, and on VMX more than the 512 entries of the processor's own log.
constexpr uint32_t kRingBytes = 1024 * sizeof(kvm_dirty_gfn);

void play_dirty_ring(Stage& stage) {
  play_dirty_ring(stage, dirty_ring_code,
                  {.memory_bytes = 8u << 20, .ring_bytes = kRingBytes, .last_exit = KVM_EXIT_HLT});
}

}  // namespace

const Guest kDirtyRing = {"dirty_ring",
                          "stores to more pages than the ring holds: KVM_EXIT_DIRTY_RING_FULL",
                          play_dirty_ring};

}  // namespace kvmtape::x86
