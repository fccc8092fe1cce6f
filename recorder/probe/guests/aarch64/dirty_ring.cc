// A guest that writes to more pages than its dirty ring has entries: KVM_EXIT_DIRTY_RING_FULL.
// After KVM_RESET_DIRTY_RINGS, with the entries marked as collected, it goes on.
#include <fmt/core.h>
#include <sys/mman.h>

#include "recorder/probe/guests/aarch64/battery.h"
#include "recorder/probe/new_uapi.h"

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

void play(Stage& stage) {
  Machine machine(stage, {.memory_bytes = 4u << 20,
                          .memory_flags = KVM_MEM_LOG_DIRTY_PAGES,
                          .dirty_ring_bytes = kRingBytes});
  machine.load_code(dirty_ring_code);
  Vcpu& vcpu = machine.add_vcpu();
  if (!vcpu.expect(KVM_EXIT_DIRTY_RING_FULL)) return;
  void* mapping = mmap(nullptr, kRingBytes, PROT_READ | PROT_WRITE, MAP_SHARED, vcpu.fd(),
                       KVM_DIRTY_LOG_PAGE_OFFSET * static_cast<off_t>(kPageBytes));
  if (mapping == MAP_FAILED) return stage.differ("the ring cannot be mapped");
  auto* ring = static_cast<kvm_dirty_gfn*>(mapping);
  unsigned collected = 0;
  for (; collected < kRingBytes / sizeof *ring; ++collected) {
    if (__atomic_load_n(&ring[collected].flags, __ATOMIC_ACQUIRE) != KVM_DIRTY_GFN_F_DIRTY) break;
    __atomic_store_n(&ring[collected].flags, uint32_t{KVM_DIRTY_GFN_F_RESET}, __ATOMIC_RELEASE);
  }
  munmap(mapping, kRingBytes);
  machine.call_value(KVM_RESET_DIRTY_RINGS, "KVM_RESET_DIRTY_RINGS", 0);
  // The rest of the pages may fill it once more.
  if (vcpu.run_once() == 0 && vcpu.run().exit_reason != KVM_EXIT_MMIO &&
      vcpu.run().exit_reason != KVM_EXIT_DIRTY_RING_FULL) {
    return stage.differ("went on with " + vcpu.describe_last());
  }
  stage.remark(fmt::format("full with {} pages", collected));
}

}  // namespace

const Guest kDirtyRing = {
    "dirty_ring", "stores to more pages than the ring holds: KVM_EXIT_DIRTY_RING_FULL", play};

}  // namespace kvmtape::arm64
