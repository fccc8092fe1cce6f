// The I/O APIC in user space, the local APIC in the kernel (KVM_CAP_SPLIT_IRQCHIP): the EOI of a
// level-triggered vector that a route names is a KVM_EXIT_IOAPIC_EOI.
#include <cstddef>

#include "recorder/probe/guests/x86_64/battery.h"

namespace kvmtape::x86 {

// Switches the local APIC on, tells us that it is ready, waits; the handler ends the interrupt,
// gives KVM time to say so, and then gives up waiting.
KVMTAPE_GUEST_CODE(ioapic_eoi_code, R"(
    mov $0xfee00000, %ebx
    movl $0x1ff, 0xf0(%rbx)
    out %al, $0x80
    sti
1:  pause
    jmp 1b
)");

KVMTAPE_GUEST_CODE(ioapic_eoi_handler, R"(
    movl $0, 0xb0(%rbx)
    mov $5000, %ecx
1:  pause
    dec %ecx
    jnz 1b
    out %al, $0x81
)");

namespace {

constexpr uint8_t kIoapicVector = 0x40;
constexpr uint32_t kPin = 5;
constexpr uint32_t kPins = 24;
constexpr uint32_t kMsiAddress = 0xfee00000;               // physical destination: APIC id 0
constexpr uint32_t kMsiLevelAssert = 1u << 15 | 1u << 14;  // trigger mode level, asserted

// kvm_irq_routing with one entry (its flexible array does not go with C++, see cpu.cc).
struct Routing {
  uint32_t nr;
  uint32_t flags;
  kvm_irq_routing_entry entry;
};
constexpr unsigned long kSetGsiRouting = _IOC(_IOC_WRITE, KVMIO, 0x6a, offsetof(Routing, entry));

void play_ioapic_eoi(Stage& stage) {
  Machine machine(stage);
  machine.enable_cap(KVM_CAP_SPLIT_IRQCHIP, "KVM_CAP_SPLIT_IRQCHIP", kPins);
  Routing routing = {};
  routing.nr = 1;
  routing.entry.gsi = kPin;
  routing.entry.type = KVM_IRQ_ROUTING_MSI;
  routing.entry.u.msi.address_lo = kMsiAddress;
  routing.entry.u.msi.data = kMsiLevelAssert | kIoapicVector;
  machine.load_code(ioapic_eoi_code);
  machine.load_code(ioapic_eoi_handler, kHandlerAddress);
  set_gate(machine, kIoapicVector, kHandlerAddress);
  Vcpu& vcpu = machine.add_vcpu();
  if (!vcpu.expect(KVM_EXIT_IO)) return;
  machine.call(kSetGsiRouting, "KVM_SET_GSI_ROUTING", &routing);
  kvm_msi msi = {};
  msi.address_lo = kMsiAddress;
  msi.data = kMsiLevelAssert | kIoapicVector;
  machine.call(KVM_SIGNAL_MSI, "KVM_SIGNAL_MSI", &msi);
  if (!vcpu.expect(KVM_EXIT_IOAPIC_EOI)) return;
  stage.check(vcpu.run().eoi.vector == kIoapicVector, "eoi.vector is another one");
  vcpu.expect(KVM_EXIT_IO);
}

}  // namespace

const Guest kIoapicEoi = {"ioapic_eoi",
                          "EOI of a level-triggered MSI, split irqchip: KVM_EXIT_IOAPIC_EOI",
                          play_ioapic_eoi};

}  // namespace kvmtape::x86
