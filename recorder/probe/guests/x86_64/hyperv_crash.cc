// A guest for Hyper-V that reports its crash (WRMSR of HV_X64_MSR_CRASH_CTL, CRASH_NOTIFY), then
// asks for a reset: KVM_EXIT_SYSTEM_EVENT, types KVM_SYSTEM_EVENT_CRASH and KVM_SYSTEM_EVENT_RESET.
#include "recorder/probe/guests/x86_64/battery.h"

namespace kvmtape::x86 {

KVMTAPE_GUEST_CODE(hyperv_crash_code, R"(
    mov $0x40000105, %ecx
    xor %eax, %eax
    mov $0x80000000, %edx
    wrmsr
    mov $0x40000003, %ecx
    mov $1, %eax
    xor %edx, %edx
    wrmsr
1:  pause
    jmp 1b
)");

namespace {

void play_hyperv_crash(Stage& stage) {
  Machine machine(stage);
  machine.require(KVM_CAP_HYPERV, "KVM_CAP_HYPERV");
  machine.call_value(KVM_CREATE_IRQCHIP, "KVM_CREATE_IRQCHIP", 0);
  machine.load_code(hyperv_crash_code);
  Vcpu& vcpu = machine.add_vcpu();
  add_hyperv_cpuid(vcpu);
  for (const uint32_t type : {uint32_t{KVM_SYSTEM_EVENT_CRASH}, uint32_t{KVM_SYSTEM_EVENT_RESET}}) {
    if (!vcpu.expect(KVM_EXIT_SYSTEM_EVENT)) return;
    stage.check(vcpu.run().system_event.type == type, "system_event.type is another one");
  }
}

}  // namespace

const Guest kHypervCrash = {"hyperv_crash",
                            "a Hyper-V guest's crash and reset MSRs: KVM_EXIT_SYSTEM_EVENT",
                            play_hyperv_crash};

}  // namespace kvmtape::x86
