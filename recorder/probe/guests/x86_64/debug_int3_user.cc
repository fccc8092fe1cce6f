// The same in ring 3, where a KVM that emulates ring 0 runs the guest on the processor. IOPL 3 lets
// it end with an OUT.
#include "recorder/probe/guests/x86_64/battery.h"

namespace kvmtape::x86 {

KVMTAPE_GUEST_CODE(debug_int3_user_code, R"(
    nop
    int3
    out %al, $0x80
)");

namespace {

void play_debug_int3_user(Stage& stage) {
  Machine machine(stage);
  machine.load_code(debug_int3_user_code);
  Vcpu& vcpu = machine.add_vcpu();
  enter_user_mode(vcpu);
  set_rflags(vcpu, kRflagsIopl3);
  set_guest_debug(vcpu, KVM_GUESTDBG_USE_SW_BP);
  if (!vcpu.expect(KVM_EXIT_DEBUG)) return;
  const auto& debug = vcpu.run().debug.arch;
  stage.check(debug.exception == 3 && debug.pc == kCodeAddress + 1,
              "debug.arch is not #BP at the int3");
  kvm_regs regs = get_regs(vcpu);
  regs.rip = kCodeAddress + 2;
  set_regs(vcpu, regs);
  vcpu.expect(KVM_EXIT_IO);
}

}  // namespace

const Guest kDebugInt3User = {"debug_int3_user",
                              "INT3 in ring 3 under KVM_GUESTDBG_USE_SW_BP: KVM_EXIT_DEBUG",
                              play_debug_int3_user};

}  // namespace kvmtape::x86
