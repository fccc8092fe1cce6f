// PSCI SYSTEM_OFF2 (1.3, hibernate) by HVC: KVM_EXIT_SYSTEM_EVENT, SHUTDOWN with
// KVM_SYSTEM_EVENT_SHUTDOWN_FLAG_PSCI_OFF2 in data[0]; before Linux 6.13 the guest gets
// NOT_SUPPORTED, which it stores.
#include <fmt/core.h>

#include "recorder/probe/guests/aarch64/battery.h"

namespace kvmtape::arm64 {

KVMTAPE_GUEST_CODE(psci_off2_code, R"(
    mov x7, #0xd0000000
    movz x0, #0xc400, lsl #16
    movk x0, #21
    mov x1, #1
    mov x2, #0
    hvc #0
    str x0, [x7]
1:  b 1b
)");

namespace {

void play(Stage& stage) {
  Machine machine(stage);
  machine.load_code(psci_off2_code);
  Vcpu& vcpu = machine.add_vcpu();
  vcpu.run_once();
  if (vcpu.run().exit_reason == KVM_EXIT_MMIO) {
    return stage.refuse(fmt::format("SYSTEM_OFF2 gave the guest {:#x}", stored_value(vcpu)));
  }
  if (stage.going() && vcpu.run().exit_reason != KVM_EXIT_SYSTEM_EVENT) {
    return stage.differ("gave " + vcpu.describe_last() + " instead of KVM_EXIT_SYSTEM_EVENT");
  }
  stage.check(vcpu.run().system_event.type == KVM_SYSTEM_EVENT_SHUTDOWN,
              "system_event.type is not SHUTDOWN");
}

}  // namespace

const Guest kPsciOff2 = {"psci_off2", "PSCI SYSTEM_OFF2: KVM_EXIT_SYSTEM_EVENT", play};

}  // namespace kvmtape::arm64
