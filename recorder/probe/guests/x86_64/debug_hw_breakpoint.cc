// KVM_GUESTDBG_USE_HW_BP with an execution breakpoint in dr0: KVM_EXIT_DEBUG, dr6.B0, pc at it.
#include "recorder/probe/guests/x86_64/battery.h"

namespace kvmtape::x86 {

KVMTAPE_GUEST_CODE(debug_hw_breakpoint_code, R"(
    nop
    nop
    hlt
)");

namespace {

constexpr uint64_t kDr7Execute0 = 1u << 10 | 1u << 1;  // fixed bit, G0; R/W0 = LEN0 = 0

void play_debug_hw_breakpoint(Stage& stage) {
  Machine machine(stage);
  machine.load_code(debug_hw_breakpoint_code);
  Vcpu& vcpu = machine.add_vcpu();
  set_guest_debug(vcpu, KVM_GUESTDBG_USE_HW_BP, kCodeAddress + 1, kDr7Execute0);
  if (!vcpu.expect(KVM_EXIT_DEBUG)) return;
  const auto& debug = vcpu.run().debug.arch;
  stage.check(debug.exception == 1 && (debug.dr6 & 1) != 0, "debug.arch is not #DB with dr6.B0");
  stage.check(debug.pc == kCodeAddress + 1, "debug.arch.pc is not the breakpoint's");
  set_guest_debug(vcpu, 0);
  vcpu.expect(KVM_EXIT_HLT);
}

}  // namespace

const Guest kDebugHwBreakpoint = {
    "debug_hw_breakpoint", "execution breakpoint in dr0: KVM_EXIT_DEBUG", play_debug_hw_breakpoint};

}  // namespace kvmtape::x86
