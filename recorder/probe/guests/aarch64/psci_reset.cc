// PSCI SYSTEM_RESET by HVC: KVM_EXIT_SYSTEM_EVENT, type KVM_SYSTEM_EVENT_RESET.
#include "recorder/probe/guests/aarch64/battery.h"

namespace kvmtape::arm64 {

KVMTAPE_GUEST_CODE(psci_reset_code, R"(
    movz w0, #0x8400, lsl #16
    movk w0, #9
    hvc #0
1:  b 1b
)");

namespace {

void play_psci_reset(Stage& stage) {
  Machine machine(stage);
  machine.load_code(psci_reset_code);
  Vcpu& vcpu = machine.add_vcpu();
  if (!vcpu.expect(KVM_EXIT_SYSTEM_EVENT)) return;
  stage.check(vcpu.run().system_event.type == KVM_SYSTEM_EVENT_RESET,
              "system_event.type is not RESET");
}

}  // namespace

const Guest kPsciReset = {"psci_reset", "PSCI SYSTEM_RESET: KVM_EXIT_SYSTEM_EVENT",
                          play_psci_reset};

}  // namespace kvmtape::arm64
