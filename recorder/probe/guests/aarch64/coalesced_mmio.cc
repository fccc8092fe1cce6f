// Stores into a KVM_REGISTER_COALESCED_MMIO zone do not exit: KVM collects them in a ring in the
// vCPU's mapping until one cannot be (the ring is full, or the address is outside).
#include "recorder/probe/guests/aarch64/battery.h"
#include "recorder/probe/scripts.h"

namespace kvmtape::arm64 {

KVMTAPE_GUEST_CODE(coalesced_mmio_code, R"(
    mov x1, #0xd0000000
    mov w0, #0x11
    str w0, [x1]
    mov w0, #0x22
    str w0, [x1, #4]
    mov w0, #0x33
    str w0, [x1, #8]
    add x1, x1, #0x1000
    str x0, [x1]
1:  b 1b
)");

namespace {

void play_coalesced_mmio(Stage& stage) {
  Machine machine(stage);
  const int ring_page = coalesce_mmio(machine);
  machine.load_code(coalesced_mmio_code);
  Vcpu& vcpu = machine.add_vcpu();
  expect_store(vcpu, kMmioAddress + kPageBytes);
  const CoalescedRing ring(vcpu, ring_page);
  stage.check(
      ring.last() - ring.first() == 3 && ring.entry(2).len == 4 && ring.entry(2).data[0] == 0x33,
      "the ring does not hold the three stores");
}

}  // namespace

const Guest kCoalescedMmio = {"coalesced_mmio",
                              "three stores into a coalesced zone, one outside: one KVM_EXIT_MMIO",
                              play_coalesced_mmio};

}  // namespace kvmtape::arm64
