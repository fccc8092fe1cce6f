// The same for port I/O: OUTs into a zone with pio = 1 do not exit.
#include "recorder/probe/guests/x86_64/battery.h"

namespace kvmtape::x86 {

KVMTAPE_GUEST_CODE(coalesced_pio_code, R"(
    mov $0x70, %dx
    mov $0x5a, %al
    outb %al, %dx
    outb %al, %dx
    mov $0x80, %dx
    outb %al, %dx
    hlt
)");

namespace {

void play_coalesced_pio(Stage& stage) {
  Machine machine(stage);
  machine.require(KVM_CAP_COALESCED_PIO, "KVM_CAP_COALESCED_PIO");
  const int ring_page = machine.require(KVM_CAP_COALESCED_MMIO, "KVM_CAP_COALESCED_MMIO");
  kvm_coalesced_mmio_zone zone = {};
  zone.addr = 0x70;
  zone.size = 1;
  zone.pio = 1;
  machine.call(KVM_REGISTER_COALESCED_MMIO, "KVM_REGISTER_COALESCED_MMIO(pio)", &zone);
  machine.load_code(coalesced_pio_code);
  Vcpu& vcpu = machine.add_vcpu();
  if (!vcpu.expect(KVM_EXIT_IO)) return;
  stage.check(vcpu.run().io.port == 0x80, "the first exit is not the OUT outside the zone");
  const CoalescedRing ring(vcpu, ring_page);
  stage.check(
      ring.last() - ring.first() == 2 && ring.entry(1).pio == 1 && ring.entry(1).data[0] == 0x5a,
      "the ring does not hold the two OUTs");
  vcpu.expect(KVM_EXIT_HLT);
}

}  // namespace

const Guest kCoalescedPio = {"coalesced_pio",
                             "two OUTs into a coalesced zone, one outside: one KVM_EXIT_IO",
                             play_coalesced_pio};

}  // namespace kvmtape::x86
