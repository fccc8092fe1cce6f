// A hardware breakpoint through KVM_GUESTDBG_USE_HW: KVM_EXIT_DEBUG at its address, in front of the
// instruction.
#include "recorder/probe/guests/aarch64/battery.h"

namespace kvmtape::arm64 {

KVMTAPE_GUEST_CODE(debug_hw_breakpoint_code, R"(
    mov x1, #0xd0000000
    nop
    str x0, [x1]
1:  b 1b
)");

namespace {

constexpr uint32_t kClassBreakpointBelow = 0x30;  // of a lower exception level

void play_debug_hw_breakpoint(Stage& stage) {
  Machine machine(stage);
  machine.require(KVM_CAP_GUEST_DEBUG_HW_BPS, "KVM_CAP_GUEST_DEBUG_HW_BPS");
  machine.load_code(debug_hw_breakpoint_code);
  Vcpu& vcpu = machine.add_vcpu();
  kvm_guest_debug_arch registers = {};
  registers.dbg_bvr[0] = kCodeAddress + kInstructionBytes;
  registers.dbg_bcr[0] = kBreakpointControl;
  set_guest_debug(vcpu, KVM_GUESTDBG_USE_HW, registers);
  if (!vcpu.expect(KVM_EXIT_DEBUG)) return;
  stage.check(vcpu.run().debug.arch.hsr >> 26 == kClassBreakpointBelow,
              "debug.arch.hsr is not that of a breakpoint");
  stage.check(get_register(vcpu, kPc) == kCodeAddress + kInstructionBytes,
              "the pc is not at the breakpoint");
  set_guest_debug(vcpu, 0);
  expect_store(vcpu, kMmioAddress);
}

}  // namespace

const Guest kDebugHwBreakpoint = {"debug_hw_breakpoint", "a hardware breakpoint: KVM_EXIT_DEBUG",
                                  play_debug_hw_breakpoint};

}  // namespace kvmtape::arm64
