// PSCI SYSTEM_SUSPEND by HVC under KVM_CAP_ARM_SYSTEM_SUSPEND: KVM_EXIT_SYSTEM_EVENT, SUSPEND. KVM
// leaves the guest's x0 to the monitor, which denies here; the guest stores it.
#include "recorder/probe/guests/aarch64/battery.h"

namespace kvmtape::arm64 {

KVMTAPE_GUEST_CODE(psci_suspend_code, R"(
    mov x7, #0xd0000000
    movz x0, #0xc400, lsl #16
    movk x0, #14
    adr x1, 1f
    mov x2, #0
    hvc #0
    str x0, [x7]
1:  b 1b
)");

namespace {

constexpr uint64_t kPsciDenied = static_cast<uint64_t>(-3);

void play_psci_suspend(Stage& stage) {
  Machine machine(stage);
  machine.enable_cap(KVM_CAP_ARM_SYSTEM_SUSPEND, "KVM_CAP_ARM_SYSTEM_SUSPEND");
  machine.load_code(psci_suspend_code);
  Vcpu& vcpu = machine.add_vcpu();
  if (!vcpu.expect(KVM_EXIT_SYSTEM_EVENT)) return;
  stage.check(vcpu.run().system_event.type == KVM_SYSTEM_EVENT_SUSPEND,
              "system_event.type is not SUSPEND");
  set_register(vcpu, kX0, kPsciDenied);
  stage.check(expect_store(vcpu, kMmioAddress) == kPsciDenied, "the guest did not see our answer");
}

}  // namespace

const Guest kPsciSuspend = {"psci_suspend", "PSCI SYSTEM_SUSPEND: KVM_EXIT_SYSTEM_EVENT",
                            play_psci_suspend};

}  // namespace kvmtape::arm64
