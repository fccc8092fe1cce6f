// Single steps over an HVC that KVM answers by itself (PSCI_VERSION): a KVM_EXIT_DEBUG behind it,
// from Linux 5.11 on; before, that step is not reported. What the HVC gave stands in the last
// store.
#include <fmt/core.h>

#include "recorder/probe/guests/aarch64/battery.h"

namespace kvmtape::arm64 {

KVMTAPE_GUEST_CODE(debug_step_hvc_code, R"(
    movz w0, #0x8400, lsl #16
    mov x7, #0xd0000000
    hvc #0
    nop
    str x0, [x7]
1:  b 1b
)");

namespace {

constexpr int kStepsToHvc = 4;  // in front of the store
constexpr int kHvcExitsMax = 2 * kStepsToHvc;

void play_debug_step_hvc(Stage& stage) {
  Machine machine(stage);
  machine.load_code(debug_step_hvc_code);
  Vcpu& vcpu = machine.add_vcpu();
  set_guest_debug(vcpu, KVM_GUESTDBG_SINGLESTEP);
  int steps = 0;
  for (int exits = 0; exits < kHvcExitsMax; ++exits) {
    if (vcpu.run_once() != 0 || vcpu.run().exit_reason != KVM_EXIT_DEBUG) break;
    ++steps;
  }
  if (stage.going() && vcpu.run().exit_reason != KVM_EXIT_MMIO) {
    return stage.differ("gave " + vcpu.describe_last() + " instead of KVM_EXIT_MMIO");
  }
  stage.check(steps == kStepsToHvc,
              fmt::format("{} of {} steps gave KVM_EXIT_DEBUG", steps, kStepsToHvc));
}

}  // namespace

const Guest kDebugStepHvc = {"debug_step_hvc", "single steps over HVC: KVM_EXIT_DEBUG",
                             play_debug_step_hvc};

}  // namespace kvmtape::arm64
