// PSCI SYSTEM_RESET2 (1.1) of the architected type by HVC: KVM_EXIT_SYSTEM_EVENT, RESET with
// KVM_SYSTEM_EVENT_RESET_FLAG_PSCI_RESET2 in data[0]; before Linux 5.18 the guest gets
// NOT_SUPPORTED, which it stores.
#include "recorder/probe/guests/aarch64/battery.h"
#include "recorder/probe/guests/aarch64/scripts.h"

namespace kvmtape::arm64 {

KVMTAPE_GUEST_CODE(psci_reset2_code, R"(
    mov x7, #0xd0000000
    movz x0, #0xc400, lsl #16
    movk x0, #18
    mov x1, #0
    mov x2, #0
    hvc #0
    str x0, [x7]
1:  b 1b
)");

namespace {

void play_psci_reset2(Stage& stage) {
  play_psci_call(stage, psci_reset2_code, {"SYSTEM_RESET2", KVM_SYSTEM_EVENT_RESET, "RESET"});
}

}  // namespace

const Guest kPsciReset2 = {"psci_reset2", "PSCI SYSTEM_RESET2, architected: KVM_EXIT_SYSTEM_EVENT",
                           play_psci_reset2};

}  // namespace kvmtape::arm64
