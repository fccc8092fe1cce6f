// Loads and stores whose syndrome does not say which register (write-back, pairs), under
// KVM_CAP_ARM_NISV_TO_USER: KVM_EXIT_ARM_NISV. The monitor skips them.
#include "recorder/probe/guests/aarch64/battery.h"

namespace kvmtape::arm64 {

KVMTAPE_GUEST_CODE(nisv_code, R"(
    mov x1, #0xd0000000
    str x0, [x1], #8
    ldr x0, [x1], #8
    stp x0, x2, [x1]
    str x0, [x1]
1:  b 1b
)");

namespace {

void play_nisv(Stage& stage) {
  Machine machine(stage);
  machine.enable_cap(KVM_CAP_ARM_NISV_TO_USER, "KVM_CAP_ARM_NISV_TO_USER");
  machine.load_code(nisv_code);
  Vcpu& vcpu = machine.add_vcpu();
  for (int access = 0; access < 3; ++access) {
    if (!vcpu.expect(KVM_EXIT_ARM_NISV)) return;
    stage.check(vcpu.run().arm_nisv.fault_ipa == kMmioAddress,
                "arm_nisv.fault_ipa is not the address");
    skip_instruction(vcpu);
  }
  expect_store(vcpu, kMmioAddress);
}

}  // namespace

const Guest kNisv = {
    "nisv", "write-back and pair under KVM_CAP_ARM_NISV_TO_USER, skipped: KVM_EXIT_ARM_NISV",
    play_nisv};

}  // namespace kvmtape::arm64
