// The same in ring 3, where a KVM that emulates ring 0 runs the guest on the processor.
#include "recorder/probe/guests/x86_64/battery.h"

namespace kvmtape::x86 {

KVMTAPE_GUEST_CODE(debug_watchpoint_user_code, R"(
    mov $0x20000, %ebx
    movl (%rbx), %eax
    movl %eax, (%rbx)
    out %al, $0x80
)");

namespace {

void play_debug_watchpoint_user(Stage& stage) {
  Machine machine(stage);
  machine.load_code(debug_watchpoint_user_code);
  Vcpu& vcpu = machine.add_vcpu();
  enter_user_mode(vcpu);
  set_rflags(vcpu, kRflagsIopl3);
  set_guest_debug(vcpu, KVM_GUESTDBG_USE_HW_BP, kDataAddress, kDr7Write0);
  if (!vcpu.expect(KVM_EXIT_DEBUG)) return;
  const auto& debug = vcpu.run().debug.arch;
  stage.check(debug.exception == 1 && (debug.dr6 & 1) != 0, "debug.arch is not #DB with dr6.B0");
  set_guest_debug(vcpu, 0);
  vcpu.expect(KVM_EXIT_IO);
}

}  // namespace

const Guest kDebugWatchpointUser = {"debug_watchpoint_user",
                                    "write watchpoint in ring 3: KVM_EXIT_DEBUG",
                                    play_debug_watchpoint_user};

}  // namespace kvmtape::x86
