// KVM_GUESTDBG_USE_HW_BP with a 4-byte write watchpoint in dr0: KVM_EXIT_DEBUG behind the store.
#include "recorder/probe/guests/x86_64/battery.h"

namespace kvmtape::x86 {

KVMTAPE_GUEST_CODE(debug_watchpoint_code, R"(
    mov $0x20000, %ebx
    movl (%rbx), %eax
    movl %eax, (%rbx)
    hlt
)");

namespace {

void play_debug_watchpoint(Stage& stage) {
  Machine machine(stage);
  machine.load_code(debug_watchpoint_code);
  Vcpu& vcpu = machine.add_vcpu();
  set_guest_debug(vcpu, KVM_GUESTDBG_USE_HW_BP, kDataAddress, kDr7Write0);
  if (!vcpu.expect(KVM_EXIT_DEBUG)) return;
  const auto& debug = vcpu.run().debug.arch;
  stage.check(debug.exception == 1 && (debug.dr6 & 1) != 0, "debug.arch is not #DB with dr6.B0");
  stage.check(debug.pc == kCodeAddress + 9, "debug.arch.pc is not behind the store");
  set_guest_debug(vcpu, 0);
  vcpu.expect(KVM_EXIT_HLT);
}

}  // namespace

const Guest kDebugWatchpoint = {
    "debug_watchpoint", "4-byte write watchpoint in dr0: KVM_EXIT_DEBUG", play_debug_watchpoint};

}  // namespace kvmtape::x86
