// BRK without anybody debugging the guest: no exit of its own, the guest takes the exception and
// tells what it sees in ESR_EL1.
#include <fmt/core.h>

#include "recorder/probe/guests/aarch64/battery.h"

namespace kvmtape::arm64 {

KVMTAPE_GUEST_CODE(brk_by_guest_code, R"(
    brk #0x1234
1:  b 1b
)");

namespace {

void play_brk_by_guest(Stage& stage) {
  Machine machine(stage);
  machine.load_code(brk_by_guest_code);
  Vcpu& vcpu = machine.add_vcpu();
  catch_exceptions(machine, vcpu);
  const GuestException seen = expect_exception(vcpu);
  stage.check(seen.vector == 4 && seen.esr == 0xf2001234 && seen.elr == kCodeAddress,
              fmt::format("the guest saw ESR_EL1 {:#x}", seen.esr));
}

}  // namespace

const Guest kBrkByGuest = {
    "brk_by_guest", "BRK that the guest takes itself: ESR_EL1 by KVM_EXIT_MMIO", play_brk_by_guest};

}  // namespace kvmtape::arm64
