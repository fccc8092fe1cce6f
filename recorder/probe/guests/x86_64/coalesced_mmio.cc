// Stores into a KVM_REGISTER_COALESCED_MMIO zone do not exit: KVM collects them in a ring in the
// vCPU's mapping until one cannot be (the ring is full, or the address is outside).
#include <fmt/core.h>

#include "recorder/probe/guests/x86_64/battery.h"
#include "recorder/probe/scripts.h"

namespace kvmtape::x86 {

KVMTAPE_GUEST_CODE(coalesced_mmio_code, R"(
    mov $0xd0000000, %ebx
    movl $0x11, (%rbx)
    movl $0x22, 4(%rbx)
    movl $0x33, 8(%rbx)
    movl $0x44, 0x1000(%rbx)
    hlt
)");

namespace {

void play_coalesced_mmio(Stage& stage) {
  Machine machine(stage);
  const int ring_page = coalesce_mmio(machine);
  machine.load_code(coalesced_mmio_code);
  Vcpu& vcpu = machine.add_vcpu();
  if (!vcpu.expect(KVM_EXIT_MMIO)) return;
  stage.check(vcpu.run().mmio.phys_addr == kMmioAddress + kPageBytes,
              "the first exit is not the store outside the zone");
  const CoalescedRing ring(vcpu, ring_page);
  stage.check(
      ring.last() - ring.first() == 3 && ring.entry(2).len == 4 && ring.entry(2).data[0] == 0x33,
      "the ring does not hold the three stores");
  vcpu.expect(KVM_EXIT_HLT);
}

}  // namespace

const Guest kCoalescedMmio = {"coalesced_mmio",
                              "three stores into a coalesced zone, one outside: one KVM_EXIT_MMIO",
                              play_coalesced_mmio};

}  // namespace kvmtape::x86
