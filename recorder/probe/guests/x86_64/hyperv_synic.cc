// A guest for Hyper-V that switches its synthetic interrupt controller on (WRMSR of
// HV_X64_MSR_SCONTROL), with KVM_CAP_HYPERV_SYNIC2: KVM_EXIT_HYPERV, type KVM_EXIT_HYPERV_SYNIC.
#include "recorder/probe/guests/x86_64/battery.h"

namespace kvmtape::x86 {

KVMTAPE_GUEST_CODE(hyperv_synic_code, R"(
    mov $0x40000080, %ecx
    mov $1, %eax
    xor %edx, %edx
    wrmsr
    out %al, $0x80
)");

namespace {

constexpr uint32_t kMsrScontrol = 0x40000080;

void play_hyperv_synic(Stage& stage) {
  Machine machine(stage);
  machine.require(KVM_CAP_HYPERV_SYNIC2, "KVM_CAP_HYPERV_SYNIC2");
  machine.call_value(KVM_CREATE_IRQCHIP, "KVM_CREATE_IRQCHIP", 0);
  machine.load_code(hyperv_synic_code);
  Vcpu& vcpu = machine.add_vcpu();
  add_hyperv_cpuid(vcpu);
  vcpu.enable_cap(KVM_CAP_HYPERV_SYNIC2, "KVM_CAP_HYPERV_SYNIC2");
  if (!vcpu.expect(KVM_EXIT_HYPERV)) return;
  const auto& hyperv = vcpu.run().hyperv;
  stage.check(hyperv.type == KVM_EXIT_HYPERV_SYNIC && hyperv.u.synic.msr == kMsrScontrol,
              "hyperv says another type or MSR");
  vcpu.expect(KVM_EXIT_IO);
}

}  // namespace

const Guest kHypervSynic = {"hyperv_synic", "a Hyper-V guest's SynIC switched on: KVM_EXIT_HYPERV",
                            play_hyperv_synic};

}  // namespace kvmtape::x86
