// More stores into a coalesced zone than its ring holds: the first that finds it full is a
// KVM_EXIT_MMIO of its own. How many it held is part of the fingerprint.
#include <fmt/core.h>

#include "recorder/probe/guests/x86_64/battery.h"
#include "recorder/probe/scripts.h"

namespace kvmtape::x86 {

KVMTAPE_GUEST_CODE(coalesced_mmio_full_code, R"(
    mov $0xd0000000, %ebx
    mov $1000, %ecx
1:  movl %ecx, (%rbx)
    dec %ecx
    jnz 1b
    hlt
)");

namespace {

void play_coalesced_mmio_full(Stage& stage) {
  Machine machine(stage);
  const int ring_page = coalesce_mmio(machine);
  machine.load_code(coalesced_mmio_full_code);
  Vcpu& vcpu = machine.add_vcpu();
  if (!vcpu.expect(KVM_EXIT_MMIO)) return;
  const CoalescedRing ring(vcpu, ring_page);
  stage.remark(fmt::format("full after {} stores", ring.last() - ring.first()));
}

}  // namespace

const Guest kCoalescedMmioFull = {"coalesced_mmio_full",
                                  "stores into a coalesced zone until its ring is full: "
                                  "KVM_EXIT_MMIO",
                                  play_coalesced_mmio_full};

}  // namespace kvmtape::x86
