// The same from ring 3. KVM would hand the guest a #UD; with KVM_CAP_EXIT_ON_EMULATION_FAILURE it
// exits instead: KVM_EXIT_INTERNAL_ERROR with the instruction's bytes in emulation_failure.
#include "recorder/probe/guests/x86_64/battery.h"

namespace kvmtape::x86 {

KVMTAPE_GUEST_CODE(emulation_failure_user_code, R"(
    mov $0xd0000000, %ebx
    addps (%rbx), %xmm0
1:  jmp 1b
)");

namespace {

void play_emulation_failure_user(Stage& stage) {
  Machine machine(stage);
  machine.enable_cap(KVM_CAP_EXIT_ON_EMULATION_FAILURE, "KVM_CAP_EXIT_ON_EMULATION_FAILURE", 1);
  machine.load_code(emulation_failure_user_code);
  Vcpu& vcpu = machine.add_vcpu();
  enter_user_mode(vcpu);
  if (!vcpu.expect(KVM_EXIT_INTERNAL_ERROR)) return;
  const auto& failure = vcpu.run().emulation_failure;
  stage.check(failure.suberror == KVM_INTERNAL_ERROR_EMULATION, "gave " + vcpu.describe_last());
  stage.check((failure.flags & KVM_INTERNAL_ERROR_EMULATION_FLAG_INSTRUCTION_BYTES) == 0 ||
                  failure.insn_bytes[0] == 0x0f,
              "emulation_failure.insn_bytes does not begin with the instruction");
}

}  // namespace

const Guest kEmulationFailureUser = {
    "emulation_failure_user",
    "the same in ring 3 under KVM_CAP_EXIT_ON_EMULATION_FAILURE: KVM_EXIT_INTERNAL_ERROR",
    play_emulation_failure_user};

}  // namespace kvmtape::x86
