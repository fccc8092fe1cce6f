// PSCI SYSTEM_OFF2 (1.3, hibernate) by HVC: KVM_EXIT_SYSTEM_EVENT, SHUTDOWN with
// KVM_SYSTEM_EVENT_SHUTDOWN_FLAG_PSCI_OFF2 in data[0]; before Linux 6.13 the guest gets
// NOT_SUPPORTED, which it stores.
#include "recorder/probe/guests/aarch64/battery.h"
#include "recorder/probe/guests/aarch64/scripts.h"

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

void play_psci_off2(Stage& stage) {
  play_psci_call(stage, psci_off2_code, {"SYSTEM_OFF2", KVM_SYSTEM_EVENT_SHUTDOWN, "SHUTDOWN"});
}

}  // namespace

const Guest kPsciOff2 = {"psci_off2", "PSCI SYSTEM_OFF2: KVM_EXIT_SYSTEM_EVENT", play_psci_off2};

}  // namespace kvmtape::arm64
