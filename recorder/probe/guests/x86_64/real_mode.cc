// 16-bit real mode, where some processors cannot run a guest and KVM emulates: OUT, a store to the
// hole above 640 KiB (KVM_EXIT_MMIO at 0xb8000; that slot ends at 512 KiB), HLT.
#include "recorder/probe/guests/x86_64/battery.h"

namespace kvmtape::x86 {

KVMTAPE_GUEST_CODE(real_mode_code, R"(
    .code16
    mov $0x80, %dx
    mov $0x7f, %al
    outb %al, %dx
    mov $0xb800, %ax
    mov %ax, %ds
    movw $0x0741, 0
    hlt
)");

namespace {

void play_real_mode(Stage& stage) {
  Machine machine(stage, {.memory_bytes = 512 * 1024});
  machine.load_code(real_mode_code);
  Vcpu& vcpu = machine.add_vcpu();
  enter_real_mode(vcpu, kCodeAddress);
  vcpu.expect(KVM_EXIT_IO);
  if (!vcpu.expect(KVM_EXIT_MMIO)) return;
  stage.check(vcpu.run().mmio.phys_addr == 0xb8000, "mmio.phys_addr is not segment * 16 + offset");
  vcpu.expect(KVM_EXIT_HLT);
}

}  // namespace

const Guest kRealMode = {"real_mode", "OUT, store and HLT in 16-bit real mode", play_real_mode};

}  // namespace kvmtape::x86
