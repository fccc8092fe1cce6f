// PSCI SYSTEM_RESET2 (1.1) of a type that is the vendor's own by HVC: KVM_EXIT_SYSTEM_EVENT, as of
// the architected one; type and cookie are in the guest's x1 and x2 alone.
#include "recorder/probe/guests/aarch64/battery.h"
#include "recorder/probe/guests/aarch64/scripts.h"

namespace kvmtape::arm64 {

KVMTAPE_GUEST_CODE(psci_reset2_vendor_code, R"(
    mov x7, #0xd0000000
    movz w0, #0x8400, lsl #16
    movk w0, #18
    movz w1, #0x8000, lsl #16
    mov w2, #0x55
    hvc #0
    str x0, [x7]
1:  b 1b
)");

namespace {

void play_psci_reset2_vendor(Stage& stage) {
  play_psci_call(stage, psci_reset2_vendor_code,
                 {"SYSTEM_RESET2", KVM_SYSTEM_EVENT_RESET, "RESET"});
}

}  // namespace

const Guest kPsciReset2Vendor = {"psci_reset2_vendor",
                                 "PSCI SYSTEM_RESET2, vendor type: KVM_EXIT_SYSTEM_EVENT",
                                 play_psci_reset2_vendor};

}  // namespace kvmtape::arm64
