// Single steps over a store and a load that exit as KVM_EXIT_MMIO: a KVM_EXIT_DEBUG behind each,
// from Linux 5.11 on; before, the step over what KVM emulates is not reported.
#include <fmt/core.h>

#include "recorder/probe/guests/aarch64/battery.h"

namespace kvmtape::arm64 {

KVMTAPE_GUEST_CODE(debug_step_mmio_code, R"(
    mov x1, #0xd0000000
    str x0, [x1]
    nop
    ldr w0, [x1, #8]
    nop
    str x0, [x1, #16]
1:  b 1b
)");

namespace {

constexpr int kStepsToStore = 5;  // in front of the last store
constexpr int kStepExitsMax = 3 * kStepsToStore;

void play_debug_step_mmio(Stage& stage) {
  Machine machine(stage);
  machine.load_code(debug_step_mmio_code);
  Vcpu& vcpu = machine.add_vcpu();
  set_guest_debug(vcpu, KVM_GUESTDBG_SINGLESTEP);
  int steps = 0;
  for (int exits = 0; exits < kStepExitsMax; ++exits) {
    if (vcpu.run_once() != 0) break;
    kvm_run& run = vcpu.run();
    if (run.exit_reason == KVM_EXIT_DEBUG) ++steps;
    if (run.exit_reason != KVM_EXIT_MMIO) continue;
    if (run.mmio.phys_addr == kMmioAddress + 16) break;
    if (run.mmio.is_write == 0) answer_load(vcpu, 0x5a);
  }
  stage.check(steps == kStepsToStore,
              fmt::format("{} of {} steps gave KVM_EXIT_DEBUG", steps, kStepsToStore));
}

}  // namespace

const Guest kDebugStepMmio = {"debug_step_mmio",
                              "single steps over MMIO: KVM_EXIT_MMIO, then KVM_EXIT_DEBUG",
                              play_debug_step_mmio};

}  // namespace kvmtape::arm64
