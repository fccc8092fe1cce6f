// A page that is private by its attributes and has no guest_memfd, in a VM of the
// software-protected type: KVM_EXIT_MEMORY_FAULT, and KVM_RUN fails with EFAULT.
#include <array>
#include <cerrno>

#include "recorder/probe/guests/x86_64/battery.h"
#include "recorder/probe/new_uapi.h"

namespace kvmtape::x86 {

KVMTAPE_GUEST_CODE(memory_fault_code, R"(
    mov $0x40000000, %ebx
    movl (%rbx), %eax
    hlt
)");

namespace {

constexpr uint64_t kPrivateAddress = 0x40000000;
alignas(kPageBytes) std::array<uint8_t, kPageBytes> shared_memory;

void play_memory_fault(Stage& stage) {
  Machine machine(stage, {.vm_type = KVM_X86_SW_PROTECTED_VM});
  machine.require(KVM_CAP_MEMORY_ATTRIBUTES, "KVM_CAP_MEMORY_ATTRIBUTES");
  machine.add_memory(0, kPrivateAddress, shared_memory.data(), shared_memory.size());
  kvm_memory_attributes attributes = {};
  attributes.address = kPrivateAddress;
  attributes.size = kPageBytes;
  attributes.attributes = KVM_MEMORY_ATTRIBUTE_PRIVATE;
  machine.call(KVM_SET_MEMORY_ATTRIBUTES, "KVM_SET_MEMORY_ATTRIBUTES", &attributes);
  machine.load_code(memory_fault_code);
  Vcpu& vcpu = machine.add_vcpu();
  if (!vcpu.expect_error(EFAULT)) return;
  stage.check(vcpu.run().exit_reason == KVM_EXIT_MEMORY_FAULT, "gave " + vcpu.describe_last());
}

}  // namespace

const Guest kMemoryFault = {"memory_fault",
                            "load from a private page without memory: KVM_EXIT_MEMORY_FAULT",
                            play_memory_fault};

}  // namespace kvmtape::x86
