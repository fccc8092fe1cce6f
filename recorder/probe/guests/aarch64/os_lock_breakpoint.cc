// A breakpoint of the guest's own while its OS Lock is set: no exception, the store behind it
// comes; and once more unlocked, where the guest takes it. Before Linux 5.18 there is no lock:
// taken at once.
#include <fmt/core.h>

#include "recorder/probe/guests/aarch64/battery.h"

namespace kvmtape::arm64 {

KVMTAPE_GUEST_CODE(os_lock_breakpoint_code, R"(
    mov x1, #0xd0000000
    mov x0, #1
    msr oslar_el1, x0
    adr x2, 2f
    msr dbgbvr0_el1, x2
    mov x2, #0x1e7
    msr dbgbcr0_el1, x2
    mov x2, #0xa000
    msr mdscr_el1, x2
    msr daifclr, #8
    isb
2:  str x0, [x1]
    cbz x0, 1f
    mov x0, #0
    msr oslar_el1, x0
    isb
    b 2b
1:  b 1b
)");

namespace {

constexpr uint64_t kClassBreakpointHere = 0x31;  // of the same exception level

void play_os_lock_breakpoint(Stage& stage) {
  Machine machine(stage);
  machine.load_code(os_lock_breakpoint_code);
  Vcpu& vcpu = machine.add_vcpu();
  catch_exceptions(machine, vcpu);
  if (!vcpu.expect(KVM_EXIT_MMIO)) return;
  if (is_exception_report(vcpu)) {
    for (int word = 1; word < 4; ++word) vcpu.expect(KVM_EXIT_MMIO);
    return stage.differ("the breakpoint fired although the OS Lock is set");
  }
  stage.check(stored_value(vcpu) == 1, "another store came");
  const GuestException seen = expect_exception(vcpu);
  stage.check(seen.exception_class() == kClassBreakpointHere,
              fmt::format("the guest saw ESR_EL1 {:#x}", seen.esr));
}

}  // namespace

const Guest kOsLockBreakpoint = {
    "os_lock_breakpoint",
    "a guest's own breakpoint, OS Lock set, then not: ESR_EL1 by KVM_EXIT_MMIO",
    play_os_lock_breakpoint};

}  // namespace kvmtape::arm64
