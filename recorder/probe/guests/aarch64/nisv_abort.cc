// The same answered by an external abort, as a monitor without an instruction decoder does: what
// the guest then sees in ESR_EL1.
#include <fmt/core.h>

#include "recorder/probe/guests/aarch64/battery.h"

namespace kvmtape::arm64 {

KVMTAPE_GUEST_CODE(nisv_abort_code, R"(
    mov x1, #0xd0000000
    ldr x0, [x1], #8
1:  b 1b
)");

namespace {

void play_nisv_abort(Stage& stage) {
  Machine machine(stage);
  machine.require(KVM_CAP_ARM_INJECT_EXT_DABT, "KVM_CAP_ARM_INJECT_EXT_DABT");
  machine.enable_cap(KVM_CAP_ARM_NISV_TO_USER, "KVM_CAP_ARM_NISV_TO_USER");
  machine.load_code(nisv_abort_code);
  Vcpu& vcpu = machine.add_vcpu();
  catch_exceptions(machine, vcpu);
  if (!vcpu.expect(KVM_EXIT_ARM_NISV)) return;
  inject_external_abort(vcpu);
  const GuestException seen = expect_exception(vcpu);
  stage.check(seen.esr == kEsrExternalAbort, fmt::format("the guest saw ESR_EL1 {:#x}", seen.esr));
}

}  // namespace

const Guest kNisvAbort = {"nisv_abort",
                          "load with write-back, answered by an abort: KVM_EXIT_ARM_NISV, ESR_EL1",
                          play_nisv_abort};

}  // namespace kvmtape::arm64
