// KVM_GUESTDBG_SINGLESTEP: a KVM_EXIT_DEBUG (exception 1, dr6.BS) behind each instruction.
#include "recorder/probe/guests/x86_64/battery.h"

namespace kvmtape::x86 {

KVMTAPE_GUEST_CODE(debug_single_step_code, R"(
    nop
    nop
    nop
    hlt
)");

namespace {

constexpr uint64_t kDr6SingleStep = 1u << 14;

void play_debug_single_step(Stage& stage) {
  Machine machine(stage);
  machine.load_code(debug_single_step_code);
  Vcpu& vcpu = machine.add_vcpu();
  set_guest_debug(vcpu, KVM_GUESTDBG_SINGLESTEP);
  for (uint64_t step = 1; step <= 3; ++step) {
    if (!vcpu.expect(KVM_EXIT_DEBUG)) return;
    const auto& debug = vcpu.run().debug.arch;
    stage.check(debug.exception == 1 && (debug.dr6 & kDr6SingleStep) != 0,
                "debug.arch is not #DB with dr6.BS");
    stage.check(debug.pc == kCodeAddress + step, "debug.arch.pc did not go on by one instruction");
  }
  set_guest_debug(vcpu, 0);
  vcpu.expect(KVM_EXIT_HLT);
}

}  // namespace

const Guest kDebugSingleStep = {"debug_single_step",
                                "three NOPs under KVM_GUESTDBG_SINGLESTEP: KVM_EXIT_DEBUG",
                                play_debug_single_step};

}  // namespace kvmtape::x86
