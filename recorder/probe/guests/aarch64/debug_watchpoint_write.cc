// A watchpoint on a store through KVM_GUESTDBG_USE_HW: KVM_EXIT_DEBUG with the watched address in
// debug.arch.far. The guest has touched the page before, and an MMIO address after that: kernels
// that take the address of the last stage-2 fault instead give that one.
#include <fmt/core.h>

#include "recorder/probe/guests/aarch64/battery.h"

namespace kvmtape::arm64 {

KVMTAPE_GUEST_CODE(debug_watchpoint_write_code, R"(
    mov x1, #0xd0000000
    mov x2, #0x20000
    str x0, [x2, #0x100]
    str x0, [x1]
    str x0, [x2]
    str x0, [x1, #8]
1:  b 1b
)");

namespace {

constexpr uint32_t kClassWatchpoint = 0x34;  // of a lower exception level

void play(Stage& stage) {
  Machine machine(stage);
  machine.require(KVM_CAP_GUEST_DEBUG_HW_WPS, "KVM_CAP_GUEST_DEBUG_HW_WPS");
  machine.load_code(debug_watchpoint_write_code);
  Vcpu& vcpu = machine.add_vcpu();
  kvm_guest_debug_arch registers = {};
  registers.dbg_wvr[0] = kDataAddress;
  registers.dbg_wcr[0] = watchpoint_control(Watched::kStore);
  set_guest_debug(vcpu, KVM_GUESTDBG_USE_HW, registers);
  expect_store(vcpu, kMmioAddress);
  if (!vcpu.expect(KVM_EXIT_DEBUG)) return;
  const kvm_debug_exit_arch debug = vcpu.run().debug.arch;
  stage.check(debug.hsr >> 26 == kClassWatchpoint, "debug.arch.hsr is not that of a watchpoint");
  set_guest_debug(vcpu, 0);
  expect_store(vcpu, kMmioAddress + 8);
  stage.check(debug.far == kDataAddress,
              fmt::format("debug.arch.far is {:#x}, not the watched address", debug.far));
}

}  // namespace

const Guest kDebugWatchpointWrite = {"debug_watchpoint_write",
                                     "a watchpoint on a store: KVM_EXIT_DEBUG", play};

}  // namespace kvmtape::arm64
