// CR8 lowered by a guest whose interrupt controller is in user space: KVM_EXIT_SET_TPR, so that the
// monitor looks whether an interrupt may be delivered now. The new value is in kvm_run.cr8.
#include "recorder/probe/guests/x86_64/battery.h"

namespace kvmtape::x86 {

KVMTAPE_GUEST_CODE(set_tpr_code, R"(
    mov $9, %eax
    mov %rax, %cr8
    mov $3, %eax
    mov %rax, %cr8
    hlt
)");

namespace {

void play_set_tpr(Stage& stage) {
  Machine machine(stage);
  machine.load_code(set_tpr_code);
  Vcpu& vcpu = machine.add_vcpu();
  if (!vcpu.expect(KVM_EXIT_SET_TPR)) return;
  stage.check(vcpu.run().cr8 == 3, "kvm_run.cr8 is not what the guest wrote");
  vcpu.expect(KVM_EXIT_HLT);
}

}  // namespace

const Guest kSetTpr = {"set_tpr", "CR8 lowered, irqchip in user space: KVM_EXIT_SET_TPR",
                       play_set_tpr};

}  // namespace kvmtape::x86
