// The OS Lock as the guest sees it: OSLSR_EL1 at first, after OSLAR_EL1=1 and after OSLAR_EL1=0
// (bit 1 is OSLK), and MDSCR_EL1 at first and after a write. Before Linux 5.18 writes to OSLAR_EL1
// are ignored.
#include <fmt/core.h>

#include "recorder/probe/guests/aarch64/battery.h"

namespace kvmtape::arm64 {

KVMTAPE_GUEST_CODE(os_lock_code, R"(
    mov x1, #0xd0000000
    mrs x0, mdscr_el1
    str x0, [x1]
    mrs x0, oslsr_el1
    str x0, [x1, #8]
    mov x0, #1
    msr oslar_el1, x0
    isb
    mrs x0, oslsr_el1
    str x0, [x1, #16]
    msr oslar_el1, xzr
    isb
    mrs x0, oslsr_el1
    str x0, [x1, #24]
    mov x0, #0xa000
    msr mdscr_el1, x0
    isb
    mrs x0, mdscr_el1
    str x0, [x1, #32]
1:  b 1b
)");

namespace {

constexpr uint64_t kOsLocked = 1u << 1;  // OSLSR_EL1.OSLK

void play_os_lock(Stage& stage) {
  Machine machine(stage);
  machine.load_code(os_lock_code);
  Vcpu& vcpu = machine.add_vcpu();
  expect_store(vcpu, kMmioAddress);
  const uint64_t before = expect_store(vcpu, kMmioAddress + 8);
  const uint64_t locked = expect_store(vcpu, kMmioAddress + 16);
  const uint64_t unlocked = expect_store(vcpu, kMmioAddress + 24);
  const uint64_t mdscr = expect_store(vcpu, kMmioAddress + 32);
  stage.check((locked & kOsLocked) != 0 && ((before | unlocked) & kOsLocked) == 0,
              fmt::format("OSLSR_EL1 is {:#x}, after OSLAR_EL1=1 {:#x}, after OSLAR_EL1=0 {:#x}",
                          before, locked, unlocked));
  stage.check(mdscr == 0xa000, "MDSCR_EL1 does not keep KDE and MDE");
}

}  // namespace

const Guest kOsLock = {
    "os_lock", "OSLAR_EL1, OSLSR_EL1 and MDSCR_EL1 as the guest sees them, by KVM_EXIT_MMIO",
    play_os_lock};

}  // namespace kvmtape::arm64
