// A guest that writes to more pages than its dirty ring has entries: KVM_EXIT_DIRTY_RING_FULL.
// After KVM_RESET_DIRTY_RINGS, with the entries marked as collected, it goes on.
#include "recorder/probe/guests/aarch64/battery.h"
#include "recorder/probe/scripts.h"

namespace kvmtape::arm64 {

KVMTAPE_GUEST_CODE(dirty_ring_code, R"(
    mov x1, #0x100000
    mov x2, #0x300000
1:  str w1, [x1]
    add x1, x1, #0x1000
    cmp x1, x2
    b.lo 1b
    mov x1, #0xd0000000
    str x2, [x1]
1:  b 1b
)");

namespace {

constexpr uint32_t kRingBytes = 256 * sizeof(kvm_dirty_gfn);  // a page, the least there is

void play_dirty_ring(Stage& stage) {
  play_dirty_ring(stage, dirty_ring_code,
                  {.memory_bytes = 4u << 20, .ring_bytes = kRingBytes, .last_exit = KVM_EXIT_MMIO});
}

}  // namespace

const Guest kDirtyRing = {"dirty_ring",
                          "stores to more pages than the ring holds: KVM_EXIT_DIRTY_RING_FULL",
                          play_dirty_ring};

}  // namespace kvmtape::arm64
