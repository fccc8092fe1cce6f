#include <linux/kvm.h>

#include <cstdint>

#include "recorder/probe/arch.h"
#include "recorder/probe/guests/aarch64/cpu.h"

namespace kvmtape {

using namespace arm64;

namespace {

constexpr uint64_t kPstateEl1hMasked = 0x3c5;  // D, A, I, F set; EL1h
// The stack is SP_EL0's; EL1h uses SP_EL1, and these guests use none.
constexpr uint64_t kSpEl0 = core_register(31);
constexpr uint64_t kPstate = core_register(33);

}  // namespace

void prepare_machine(Machine&) {}  // no tables: the MMU is off

void prepare_vcpu(Machine& machine, Vcpu& vcpu, uint64_t entry, uint64_t stack) {
  kvm_vcpu_init init = {};
  machine.call(KVM_ARM_PREFERRED_TARGET, "KVM_ARM_PREFERRED_TARGET", &init);
  init.features[0] |= 1u << KVM_ARM_VCPU_PSCI_0_2;
  vcpu.call(KVM_ARM_VCPU_INIT, "KVM_ARM_VCPU_INIT", &init);
  set_register(vcpu, kPc, entry);
  set_register(vcpu, kPstate, kPstateEl1hMasked);
  set_register(vcpu, kSpEl0, stack);
}

// kvm_sync_regs.device_irq_level: KVM compares it with the timers' lines, and exits with
// KVM_EXIT_INTR while they differ (kvm_timer_should_notify_user in arch/arm64/kvm/arch_timer.c).
size_t sync_bytes_read() { return sizeof(kvm_sync_regs::device_irq_level); }

}  // namespace kvmtape
