#include <linux/kvm.h>

#include <cstdint>

#include "recorder/probe/arch.h"
#include "recorder/probe/machine.h"

namespace kvmtape {
namespace {

constexpr uint64_t kPstateEl1hMasked = 0x3c5;  // D, A, I, F set; EL1h

// Core registers by their index in user_pt_regs, in 64-bit registers: 0 to 30 are x0 to x30. The
// stack is SP_EL0's; EL1h uses SP_EL1, and these guests use none.
constexpr unsigned kRegisterSp = 31;
constexpr unsigned kRegisterPc = 32;
constexpr unsigned kRegisterPstate = 33;

void set_core_register(Vcpu& vcpu, unsigned index, uint64_t value) {
  // Register ids of the core group count in 32-bit units (arch/arm64/include/uapi/asm/kvm.h).
  kvm_one_reg reg = {};
  reg.id = KVM_REG_ARM64 | KVM_REG_SIZE_U64 | KVM_REG_ARM_CORE | uint64_t{index} * 2;
  reg.addr = reinterpret_cast<uintptr_t>(&value);
  vcpu.call(KVM_SET_ONE_REG, "KVM_SET_ONE_REG", &reg);
}

}  // namespace

void prepare_machine(Machine&) {}  // no tables: the MMU is off

void prepare_vcpu(Machine& machine, Vcpu& vcpu, uint64_t entry, uint64_t stack) {
  kvm_vcpu_init init = {};
  machine.call(KVM_ARM_PREFERRED_TARGET, "KVM_ARM_PREFERRED_TARGET", &init);
  init.features[0] |= 1u << KVM_ARM_VCPU_PSCI_0_2;
  vcpu.call(KVM_ARM_VCPU_INIT, "KVM_ARM_VCPU_INIT", &init);
  set_core_register(vcpu, kRegisterPc, entry);
  set_core_register(vcpu, kRegisterPstate, kPstateEl1hMasked);
  set_core_register(vcpu, kRegisterSp, stack);
}

}  // namespace kvmtape
