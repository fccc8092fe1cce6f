// An MSR that KVM knows (IA32_SYSENTER_CS) and KVM_X86_SET_MSR_FILTER denies: KVM_EXIT_X86_RDMSR
// and KVM_EXIT_X86_WRMSR with reason KVM_MSR_EXIT_REASON_FILTER.
#include "recorder/probe/guests/x86_64/battery.h"

namespace kvmtape::x86 {

KVMTAPE_GUEST_CODE(msr_filter_code, R"(
    mov $0x174, %ecx
    rdmsr
    wrmsr
    hlt
)");

namespace {

void play_msr_filter(Stage& stage) {
  Machine machine(stage);
  machine.enable_cap(KVM_CAP_X86_USER_SPACE_MSR, "KVM_CAP_X86_USER_SPACE_MSR",
                     KVM_MSR_EXIT_REASON_FILTER);
  uint8_t nothing_allowed = 0;  // one bit an MSR
  kvm_msr_filter filter = {};
  filter.flags = KVM_MSR_FILTER_DEFAULT_ALLOW;
  filter.ranges[0].flags = KVM_MSR_FILTER_READ | KVM_MSR_FILTER_WRITE;
  filter.ranges[0].base = 0x174;
  filter.ranges[0].nmsrs = 1;
  filter.ranges[0].bitmap = &nothing_allowed;
  machine.call(KVM_X86_SET_MSR_FILTER, "KVM_X86_SET_MSR_FILTER", &filter);
  machine.load_code(msr_filter_code);
  Vcpu& vcpu = machine.add_vcpu();
  auto& msr = vcpu.run().msr;
  for (const uint32_t reason : {uint32_t{KVM_EXIT_X86_RDMSR}, uint32_t{KVM_EXIT_X86_WRMSR}}) {
    if (!vcpu.expect(reason)) return;
    stage.check(msr.index == 0x174 && msr.reason == KVM_MSR_EXIT_REASON_FILTER,
                "msr says another index or reason");
    msr.error = 0;
  }
  vcpu.expect(KVM_EXIT_HLT);
}

}  // namespace

const Guest kMsrFilter = {
    "msr_filter", "RDMSR and WRMSR of a filtered MSR: KVM_EXIT_X86_RDMSR, KVM_EXIT_X86_WRMSR",
    play_msr_filter};

}  // namespace kvmtape::x86
