// request_interrupt_window while the guest masks interrupts: KVM_EXIT_IRQ_WINDOW_OPEN once it has
// unmasked them. Then KVM_INTERRUPT injects vector 0x21, whose handler does an OUT.
#include "recorder/probe/guests/x86_64/battery.h"

namespace kvmtape::x86 {

KVMTAPE_GUEST_CODE(irq_window_code, R"(
    nop
    sti
1:  pause
    jmp 1b
)");

KVMTAPE_GUEST_CODE(irq_window_handler, R"(
    out %al, $0x80
)");

namespace {

constexpr uint8_t kWindowVector = 0x21;

void play_irq_window(Stage& stage) {
  Machine machine(stage);
  machine.load_code(irq_window_code);
  machine.load_code(irq_window_handler, kHandlerAddress);
  set_gate(machine, kWindowVector, kHandlerAddress);
  Vcpu& vcpu = machine.add_vcpu();
  vcpu.run().request_interrupt_window = 1;
  if (!vcpu.expect(KVM_EXIT_IRQ_WINDOW_OPEN)) return;
  stage.check(vcpu.run().ready_for_interrupt_injection == 1 && vcpu.run().if_flag == 1,
              "the window is open but ready_for_interrupt_injection or if_flag is not 1");
  vcpu.run().request_interrupt_window = 0;
  kvm_interrupt interrupt = {.irq = kWindowVector};
  vcpu.call(KVM_INTERRUPT, "KVM_INTERRUPT", &interrupt);
  vcpu.expect(KVM_EXIT_IO);
}

}  // namespace

const Guest kIrqWindow = {
    "irq_window", "STI under request_interrupt_window: KVM_EXIT_IRQ_WINDOW_OPEN", play_irq_window};

}  // namespace kvmtape::x86
