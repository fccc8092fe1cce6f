// An instruction that KVM's emulator does not know, on an address without memory (ADDPS; the
// emulator has only SSE moves): KVM_EXIT_INTERNAL_ERROR, suberror KVM_INTERNAL_ERROR_EMULATION.
#include <fmt/core.h>

#include "recorder/probe/guests/x86_64/battery.h"

namespace kvmtape::x86 {

KVMTAPE_GUEST_CODE(emulation_failure_code, R"(
    mov $0xd0000000, %ebx
    addps (%rbx), %xmm0
    hlt
)");

namespace {

void play_emulation_failure(Stage& stage) {
  Machine machine(stage);
  machine.load_code(emulation_failure_code);
  Vcpu& vcpu = machine.add_vcpu();
  if (!vcpu.expect(KVM_EXIT_INTERNAL_ERROR)) return;
  stage.check(vcpu.run().internal.suberror == KVM_INTERNAL_ERROR_EMULATION,
              "gave " + vcpu.describe_last());
  stage.remark(fmt::format("ndata {}", vcpu.run().internal.ndata));
}

}  // namespace

const Guest kEmulationFailure = {"emulation_failure",
                                 "ADDPS from where no memory is: KVM_EXIT_INTERNAL_ERROR",
                                 play_emulation_failure};

}  // namespace kvmtape::x86
