// The task-priority register of the kernel's local APIC, with KVM_TPR_ACCESS_REPORTING:
// KVM_EXIT_TPR_ACCESS for a load and a store, where the processor does not virtualize it.
#include "recorder/probe/guests/x86_64/battery.h"

namespace kvmtape::x86 {

KVMTAPE_GUEST_CODE(tpr_access_code, R"(
    mov $0xfee00080, %ebx
    movl (%rbx), %eax
    mov $5000, %ecx
1:  pause
    dec %ecx
    jnz 1b
    movl $0x20, (%rbx)
    mov $5000, %ecx
1:  pause
    dec %ecx
    jnz 1b
    out %al, $0x80
)");

namespace {

void play_tpr_access(Stage& stage) {
  Machine machine(stage);
  machine.call_value(KVM_CREATE_IRQCHIP, "KVM_CREATE_IRQCHIP", 0);
  machine.load_code(tpr_access_code);
  Vcpu& vcpu = machine.add_vcpu();
  kvm_tpr_access_ctl reporting = {};
  reporting.enabled = 1;
  vcpu.call(KVM_TPR_ACCESS_REPORTING, "KVM_TPR_ACCESS_REPORTING", &reporting);
  for (const unsigned is_write : {0u, 1u}) {
    if (!vcpu.expect(KVM_EXIT_TPR_ACCESS)) return;
    stage.check(vcpu.run().tpr_access.is_write == is_write,
                "tpr_access.is_write is not the instruction's");
  }
  vcpu.expect(KVM_EXIT_IO);
}

}  // namespace

const Guest kTprAccess = {"tpr_access",
                          "load and store of the APIC's TPR, reported: KVM_EXIT_TPR_ACCESS",
                          play_tpr_access};

}  // namespace kvmtape::x86
