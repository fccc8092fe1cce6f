// An MSR that KVM does not know, under KVM_CAP_X86_USER_SPACE_MSR: KVM_EXIT_X86_RDMSR, answered
// with a value; KVM_EXIT_X86_WRMSR; and a third that we answer with an error, which gives the guest
// a #GP.
#include "recorder/probe/guests/x86_64/battery.h"

namespace kvmtape::x86 {

KVMTAPE_GUEST_CODE(msr_unknown_code, R"(
    mov $0xc0de0001, %ecx
    rdmsr
    mov $0x20000, %ebx
    movl %eax, (%rbx)
    movl %edx, 4(%rbx)
    wrmsr
    rdmsr
    hlt
)");

KVMTAPE_GUEST_CODE(msr_unknown_gp_handler, R"(
    out %al, $0x80
)");

namespace {

constexpr uint8_t kGeneralProtection = 13;
constexpr uint32_t kMsr = 0xc0de0001;
constexpr uint64_t kMsrAnswer = 0x1122334455667788;

void play_msr_unknown(Stage& stage) {
  Machine machine(stage);
  machine.enable_cap(KVM_CAP_X86_USER_SPACE_MSR, "KVM_CAP_X86_USER_SPACE_MSR",
                     KVM_MSR_EXIT_REASON_UNKNOWN);
  machine.load_code(msr_unknown_code);
  machine.load_code(msr_unknown_gp_handler, kHandlerAddress);
  set_gate(machine, kGeneralProtection, kHandlerAddress);
  Vcpu& vcpu = machine.add_vcpu();
  auto& msr = vcpu.run().msr;
  if (!vcpu.expect(KVM_EXIT_X86_RDMSR)) return;
  stage.check(msr.index == kMsr && msr.reason == KVM_MSR_EXIT_REASON_UNKNOWN,
              "msr says another index or reason");
  msr.data = kMsrAnswer;
  msr.error = 0;
  if (!vcpu.expect(KVM_EXIT_X86_WRMSR)) return;
  stage.check(msr.index == kMsr && msr.data == kMsrAnswer, "msr.data is not what the guest wrote");
  stage.check(machine.load<uint64_t>(kDataAddress) == kMsrAnswer,
              "the guest did not see our answer");
  msr.error = 0;
  if (!vcpu.expect(KVM_EXIT_X86_RDMSR)) return;
  msr.error = 1;
  vcpu.expect(KVM_EXIT_IO);
}

}  // namespace

const Guest kMsrUnknown = {
    "msr_unknown", "RDMSR and WRMSR of an unknown MSR: KVM_EXIT_X86_RDMSR, KVM_EXIT_X86_WRMSR",
    play_msr_unknown};

}  // namespace kvmtape::x86
