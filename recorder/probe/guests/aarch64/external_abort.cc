// A load from where no memory is, answered by an external abort (KVM_SET_VCPU_EVENTS,
// ext_dabt_pending): what the guest sees in ESR_EL1. Some kernels extend its sign
// (0xffffffff96000010).
#include <fmt/core.h>

#include "recorder/probe/guests/aarch64/battery.h"

namespace kvmtape::arm64 {

KVMTAPE_GUEST_CODE(external_abort_code, R"(
    mov x1, #0xd0000000
    ldr w0, [x1, #0x90]
    str x0, [x1]
1:  b 1b
)");

namespace {

void play_external_abort(Stage& stage) {
  Machine machine(stage);
  machine.require(KVM_CAP_ARM_INJECT_EXT_DABT, "KVM_CAP_ARM_INJECT_EXT_DABT");
  machine.load_code(external_abort_code);
  Vcpu& vcpu = machine.add_vcpu();
  catch_exceptions(machine, vcpu);
  if (!vcpu.expect(KVM_EXIT_MMIO)) return;
  answer_load(vcpu, 0);  // which no kernel gives the guest
  inject_external_abort(vcpu);
  const GuestException seen = expect_exception(vcpu);
  stage.check(seen.esr == kEsrExternalAbort && seen.far == kMmioAddress + 0x90,
              fmt::format("the guest saw ESR_EL1 {:#x}", seen.esr));
}

}  // namespace

const Guest kExternalAbort = {
    "external_abort", "an MMIO load answered by an external abort: ESR_EL1 by KVM_EXIT_MMIO",
    play_external_abort};

}  // namespace kvmtape::arm64
