// KVM_HC_MAP_GPA_RANGE under KVM_CAP_EXIT_HYPERCALL: KVM_EXIT_HYPERCALL; hypercall.ret becomes rax.
// The instruction is the vendor's own (vmcall, vmmcall); KVM mends the other's in guest memory.
#include "recorder/probe/guests/x86_64/battery.h"

namespace kvmtape::x86 {

KVMTAPE_GUEST_CODE(hypercall_intel_code, R"(
    mov $12, %eax
    mov $0x20000, %ebx
    mov $2, %ecx
    mov $0x10, %edx
    vmcall
    mov $0x20000, %ebx
    movq %rax, (%rbx)
    hlt
)");

KVMTAPE_GUEST_CODE(hypercall_amd_code, R"(
    mov $12, %eax
    mov $0x20000, %ebx
    mov $2, %ecx
    mov $0x10, %edx
    vmmcall
    mov $0x20000, %ebx
    movq %rax, (%rbx)
    hlt
)");

namespace {

constexpr uint64_t kHcMapGpaRange = 12;  // include/uapi/linux/kvm_para.h
constexpr uint64_t kHypercallAnswer = 0x4242;

void play_hypercall(Stage& stage) {
  Machine machine(stage);
  machine.enable_cap(KVM_CAP_EXIT_HYPERCALL, "KVM_CAP_EXIT_HYPERCALL", 1u << kHcMapGpaRange);
  machine.load_code(is_amd() ? hypercall_amd_code : hypercall_intel_code);
  Vcpu& vcpu = machine.add_vcpu();
  if (!vcpu.expect(KVM_EXIT_HYPERCALL)) return;
  auto& hypercall = vcpu.run().hypercall;
  stage.check(hypercall.nr == kHcMapGpaRange && hypercall.args[0] == kDataAddress &&
                  hypercall.args[1] == 2 && hypercall.args[2] == 0x10,
              "hypercall says another number or arguments");
  hypercall.ret = kHypercallAnswer;
  if (!vcpu.expect(KVM_EXIT_HLT)) return;
  stage.check(machine.load<uint64_t>(kDataAddress) == kHypercallAnswer,
              "the guest did not see our answer");
}

}  // namespace

const Guest kHypercall = {"hypercall", "KVM_HC_MAP_GPA_RANGE, answered: KVM_EXIT_HYPERCALL",
                          play_hypercall};

}  // namespace kvmtape::x86
