// INT3 with KVM_GUESTDBG_USE_SW_BP: KVM_EXIT_DEBUG with exception 3 and pc at the instruction.
#include "recorder/probe/guests/x86_64/battery.h"

namespace kvmtape::x86 {

KVMTAPE_GUEST_CODE(debug_int3_code, R"(
    nop
    int3
    hlt
)");

namespace {

void play_debug_int3(Stage& stage) {
  Machine machine(stage);
  machine.load_code(debug_int3_code);
  Vcpu& vcpu = machine.add_vcpu();
  set_guest_debug(vcpu, KVM_GUESTDBG_USE_SW_BP);
  if (!vcpu.expect(KVM_EXIT_DEBUG)) return;
  const auto& debug = vcpu.run().debug.arch;
  stage.check(debug.exception == 3, "debug.arch.exception is not 3 (#BP)");
  stage.check(debug.pc == kCodeAddress + 1, "debug.arch.pc is not that of the int3");
  // As a debugger does when it is told to go on.
  kvm_regs regs = get_regs(vcpu);
  regs.rip = kCodeAddress + 2;
  set_regs(vcpu, regs);
  vcpu.expect(KVM_EXIT_HLT);
}

}  // namespace

const Guest kDebugInt3 = {"debug_int3", "INT3 under KVM_GUESTDBG_USE_SW_BP: KVM_EXIT_DEBUG",
                          play_debug_int3};

}  // namespace kvmtape::x86
