// x86-64: modes, tables and registers of the probe's vCPUs.
//
// Guest memory below kCodeAddress: GDT at 0x1000, IDT at 0x2000 (empty until set_gate), page tables
// from 0x3000 that map 4 GiB one to one with 2 MiB pages, writable and open to ring 3.
#pragma once

#include <linux/kvm.h>

#include <cstdint>

#include "recorder/probe/machine.h"

namespace kvmtape::x86 {

inline constexpr uint64_t kGdtAddress = 0x1000;
inline constexpr uint64_t kIdtAddress = 0x2000;
inline constexpr uint64_t kPageTableAddress = 0x3000;
inline constexpr uint64_t kGateBytes = 16;
inline constexpr uint64_t kHandlerAddress = kCodeAddress + kPageBytes;  // of a guest that has one
inline constexpr uint16_t kCodeSelector = 0x08;
inline constexpr uint16_t kDataSelector = 0x10;
inline constexpr uint16_t kUserCodeSelector = 0x18 | 3;
inline constexpr uint16_t kUserDataSelector = 0x20 | 3;

inline constexpr uint64_t kRflagsFixed = 1u << 1;

inline constexpr uint64_t kRflagsIopl3 = 3u << 12;

// A watchpoint in DR0: fixed bit, G0, R/W0 = write, LEN0 = 4 bytes.
inline constexpr uint64_t kDr7Write0 = 1u << 10 | 1u << 1 | 1u << 16 | 3u << 18;

inline constexpr uint64_t kCr0ExtensionType = 1u << 4;
inline constexpr uint64_t kCr0NumericError = 1u << 5;

// Flat segments of ring 0, as the GDT has them.
kvm_segment code_segment();
kvm_segment data_segment();
void set_data_segments(kvm_sregs& sregs, const kvm_segment& segment);

// All that this kernel supports: without a CPUID a vCPU has neither SSE nor long mode.
void set_supported_cpuid(Vcpu& vcpu);

kvm_regs get_regs(Vcpu& vcpu);
void set_regs(Vcpu& vcpu, kvm_regs regs);
kvm_sregs get_sregs(Vcpu& vcpu);
void set_sregs(Vcpu& vcpu, kvm_sregs sregs);
void set_rflags(Vcpu& vcpu, uint64_t rflags);

// 16-bit real mode, cs and ip so that it runs at `entry` (below 1 MiB).
void enter_real_mode(Vcpu& vcpu, uint64_t entry);
// Ring 3 of the 64-bit mode that the vCPU is in.
void enter_user_mode(Vcpu& vcpu);

// Makes the vCPU one of a guest for Hyper-V: the leaves without which KVM has no Hyper-V MSRs.
void add_hyperv_cpuid(Vcpu& vcpu);

// An interrupt gate of the IDT, to `handler` in ring 0.
void set_gate(Machine& machine, uint8_t vector, uint64_t handler);

// KVM_SET_GUEST_DEBUG with the KVM_GUESTDBG_* bits; dr7 and one address for a hardware breakpoint.
void set_guest_debug(Vcpu& vcpu, uint32_t control, uint64_t dr0 = 0, uint64_t dr7 = 0);

// The bytes of a KVM_EXIT_IO.
inline uint8_t* io_data(Vcpu& vcpu) {
  return reinterpret_cast<uint8_t*>(&vcpu.run()) + vcpu.run().io.data_offset;
}

// The host is an AMD (or Hygon) machine: its hypercall instruction is vmmcall.
bool is_amd();

}  // namespace kvmtape::x86
