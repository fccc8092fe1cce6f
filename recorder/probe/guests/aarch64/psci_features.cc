// PSCI_VERSION, and PSCI_FEATURES of SYSTEM_RESET2, SYSTEM_SUSPEND and SYSTEM_OFF2: what this KVM
// tells its guests. Then PSCI_VERSION by SMC, which older kernels answer with NOT_SUPPORTED.
#include <fmt/core.h>

#include "recorder/probe/guests/aarch64/battery.h"

namespace kvmtape::arm64 {

KVMTAPE_GUEST_CODE(psci_features_code, R"(
    mov x7, #0xd0000000
    movz w0, #0x8400, lsl #16
    hvc #0
    str x0, [x7]
    movz w0, #0x8400, lsl #16
    movk w0, #10
    movz w1, #0xc400, lsl #16
    movk w1, #18
    hvc #0
    str x0, [x7, #8]
    movz w0, #0x8400, lsl #16
    movk w0, #10
    movz w1, #0xc400, lsl #16
    movk w1, #14
    hvc #0
    str x0, [x7, #16]
    movz w0, #0x8400, lsl #16
    movk w0, #10
    movz w1, #0xc400, lsl #16
    movk w1, #21
    hvc #0
    str x0, [x7, #24]
    movz w0, #0x8400, lsl #16
    smc #0
    str x0, [x7, #32]
1:  b 1b
)");

namespace {

void play_psci_features(Stage& stage) {
  Machine machine(stage);
  machine.load_code(psci_features_code);
  Vcpu& vcpu = machine.add_vcpu();
  const uint64_t version = expect_store(vcpu, kMmioAddress);
  for (uint64_t offset = 8; offset <= 32; offset += 8) expect_store(vcpu, kMmioAddress + offset);
  stage.remark(fmt::format("PSCI {}.{}", version >> 16, version & 0xffff));
}

}  // namespace

const Guest kPsciFeatures = {
    "psci_features", "PSCI_VERSION and PSCI_FEATURES as the guest sees them, by KVM_EXIT_MMIO",
    play_psci_features};

}  // namespace kvmtape::arm64
