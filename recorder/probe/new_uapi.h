// Numbers of <linux/kvm.h> that are younger than the headers a distribution may build with (Debian
// 12 has 6.1's). Values from include/uapi/linux/kvm.h, arch/x86/include/uapi/asm/kvm.h and
// arch/arm64/include/uapi/asm/kvm.h of Linux 6.12.
#pragma once

#include <linux/kvm.h>

#include <cstdint>

#ifndef KVM_EXIT_MEMORY_FAULT
#define KVM_EXIT_MEMORY_FAULT 39
#endif
#ifndef KVM_CAP_MEMORY_FAULT_INFO
#define KVM_CAP_MEMORY_FAULT_INFO 232
#endif
#ifndef KVM_CAP_MEMORY_ATTRIBUTES
#define KVM_CAP_MEMORY_ATTRIBUTES 233
#define KVM_SET_MEMORY_ATTRIBUTES _IOW(KVMIO, 0xd2, struct kvm_memory_attributes)
#define KVM_MEMORY_ATTRIBUTE_PRIVATE (1ULL << 3)
struct kvm_memory_attributes {
  uint64_t address;
  uint64_t size;
  uint64_t attributes;
  uint64_t flags;
};
#endif
#ifndef KVM_X86_SW_PROTECTED_VM
#define KVM_X86_SW_PROTECTED_VM 1
#endif
#if defined(__aarch64__) && !defined(KVM_ARM_VM_SMCCC_CTRL)
#define KVM_ARM_VM_SMCCC_CTRL 0
#define KVM_ARM_VM_SMCCC_FILTER 0
#define KVM_SMCCC_FILTER_FWD_TO_USER 2
struct kvm_smccc_filter {
  uint32_t base;
  uint32_t nr_functions;
  uint8_t action;
  uint8_t pad[15];
};
#endif
#if defined(__aarch64__) && !defined(KVM_HYPERCALL_EXIT_SMC)
#define KVM_HYPERCALL_EXIT_SMC (1U << 0)
#endif
#if defined(__aarch64__) && KVM_DIRTY_LOG_PAGE_OFFSET == 0  // what a header without it says
#undef KVM_DIRTY_LOG_PAGE_OFFSET
#define KVM_DIRTY_LOG_PAGE_OFFSET 64
#endif
