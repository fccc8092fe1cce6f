// KVM_GUESTDBG_SINGLESTEP: a KVM_EXIT_DEBUG behind each instruction.
#include "recorder/probe/guests/aarch64/battery.h"

namespace kvmtape::arm64 {

KVMTAPE_GUEST_CODE(debug_single_step_code, R"(
    nop
    nop
    nop
    mov x1, #0xd0000000
    str x0, [x1]
1:  b 1b
)");

namespace {

constexpr uint32_t kClassStep = 0x32;  // of a lower exception level

void play_debug_single_step(Stage& stage) {
  Machine machine(stage);
  machine.load_code(debug_single_step_code);
  Vcpu& vcpu = machine.add_vcpu();
  set_guest_debug(vcpu, KVM_GUESTDBG_SINGLESTEP);
  for (uint64_t step = 1; step <= 3; ++step) {
    if (!vcpu.expect(KVM_EXIT_DEBUG)) return;
    stage.check(vcpu.run().debug.arch.hsr >> 26 == kClassStep,
                "debug.arch.hsr is not that of a software step");
    stage.check(get_register(vcpu, kPc) == kCodeAddress + step * kInstructionBytes,
                "the pc did not go on by one instruction");
  }
  set_guest_debug(vcpu, 0);
  expect_store(vcpu, kMmioAddress);
}

}  // namespace

const Guest kDebugSingleStep = {"debug_single_step",
                                "three NOPs under KVM_GUESTDBG_SINGLESTEP: KVM_EXIT_DEBUG",
                                play_debug_single_step};

}  // namespace kvmtape::arm64
