// PSCI SYSTEM_RESET2 (1.1) of a type that is the vendor's own by HVC: KVM_EXIT_SYSTEM_EVENT, as of
// the architected one; type and cookie are in the guest's x1 and x2 alone.
#include <fmt/core.h>

#include "recorder/probe/guests/aarch64/battery.h"

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

void play(Stage& stage) {
  Machine machine(stage);
  machine.load_code(psci_reset2_vendor_code);
  Vcpu& vcpu = machine.add_vcpu();
  vcpu.run_once();
  if (vcpu.run().exit_reason == KVM_EXIT_MMIO) {
    return stage.refuse(fmt::format("SYSTEM_RESET2 gave the guest {:#x}", stored_value(vcpu)));
  }
  if (stage.going() && vcpu.run().exit_reason != KVM_EXIT_SYSTEM_EVENT) {
    return stage.differ("gave " + vcpu.describe_last() + " instead of KVM_EXIT_SYSTEM_EVENT");
  }
  stage.check(vcpu.run().system_event.type == KVM_SYSTEM_EVENT_RESET,
              "system_event.type is not RESET");
}

}  // namespace

const Guest kPsciReset2Vendor = {"psci_reset2_vendor",
                                 "PSCI SYSTEM_RESET2, vendor type: KVM_EXIT_SYSTEM_EVENT", play};

}  // namespace kvmtape::arm64
