// PSCI SYSTEM_OFF by HVC: KVM_EXIT_SYSTEM_EVENT, type KVM_SYSTEM_EVENT_SHUTDOWN.
#include "recorder/probe/guests/aarch64/battery.h"

namespace kvmtape::arm64 {

KVMTAPE_GUEST_CODE(psci_off_code, R"(
    movz w0, #0x8400, lsl #16
    movk w0, #8
    hvc #0
2:  b 2b
)");

namespace {

void play_psci_off(Stage& stage) {
  Machine machine(stage);
  machine.load_code(psci_off_code);
  Vcpu& vcpu = machine.add_vcpu();
  if (!vcpu.expect(KVM_EXIT_SYSTEM_EVENT)) return;
  stage.check(vcpu.run().system_event.type == KVM_SYSTEM_EVENT_SHUTDOWN,
              "system_event.type is not SHUTDOWN");
}

}  // namespace

const Guest kPsciOff = {"psci_off", "PSCI SYSTEM_OFF: KVM_EXIT_SYSTEM_EVENT", play_psci_off};

}  // namespace kvmtape::arm64
