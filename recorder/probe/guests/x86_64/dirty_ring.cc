// A guest that writes to more pages than its dirty ring has entries: KVM_EXIT_DIRTY_RING_FULL.
// After KVM_RESET_DIRTY_RINGS, with the entries marked as collected, it goes on.
#include <fmt/core.h>
#include <sys/mman.h>

#include "recorder/probe/guests/x86_64/battery.h"

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

void play(Stage& stage) {
  Machine machine(stage, {.memory_bytes = 8u << 20,
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
  if (vcpu.run_once() == 0 && vcpu.run().exit_reason != KVM_EXIT_HLT &&
      vcpu.run().exit_reason != KVM_EXIT_DIRTY_RING_FULL) {
    return stage.differ("went on with " + vcpu.describe_last());
  }
  stage.remark(fmt::format("full with {} pages", collected));
}

}  // namespace

const Guest kDirtyRing = {
    "dirty_ring", "stores to more pages than the ring holds: KVM_EXIT_DIRTY_RING_FULL", play};

}  // namespace kvmtape::x86
