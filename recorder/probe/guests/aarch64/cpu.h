// aarch64: registers, exceptions and debugging of the probe's vCPUs.
//
// A guest tells its script what it sees by storing it where no memory is: so it is in the trace.
// Exception vectors lie at kVectorAddress once catch_exceptions() has put them there.
#pragma once

#include <linux/kvm.h>

#include <cstdint>

#include "recorder/probe/machine.h"

namespace kvmtape::arm64 {

inline constexpr uint64_t kVectorAddress = 0x18000;
inline constexpr uint64_t kReportAddress = kMmioAddress + 0x1000;  // of a caught exception
inline constexpr uint64_t kInstructionBytes = 4;

// Ids of KVM_GET_ONE_REG (arch/arm64/include/uapi/asm/kvm.h). Core registers by their index in
// user_pt_regs: 0 to 30 are x0 to x30.
constexpr uint64_t core_register(unsigned index) {
  return KVM_REG_ARM64 | KVM_REG_SIZE_U64 | KVM_REG_ARM_CORE | uint64_t{index} * 2;
}
inline constexpr uint64_t kX0 = core_register(0);
inline constexpr uint64_t kPc = core_register(32);
inline constexpr uint64_t kVbarEl1 = 0x603000000013c600;
inline constexpr uint64_t kIdAa64dfr0El1 = 0x603000000013c028;

void set_register(Vcpu& vcpu, uint64_t id, uint64_t value);
uint64_t get_register(Vcpu& vcpu, uint64_t id);

// As a monitor does that has emulated the instruction, or a debugger behind a BRK.
void skip_instruction(Vcpu& vcpu);

// KVM_SET_GUEST_DEBUG with the KVM_GUESTDBG_* bits; 0 ends it.
void set_guest_debug(Vcpu& vcpu, uint32_t control, const kvm_guest_debug_arch& registers = {});

// DBGBCR<n>_EL1 and DBGWCR<n>_EL1 (Arm ARM): enabled, at EL1 and EL0, all bytes.
inline constexpr uint64_t kBreakpointControl = 0xf << 5 | 3 << 1 | 1;
enum class Watched : uint8_t { kLoad = 1, kStore = 2 };
constexpr uint64_t watchpoint_control(Watched what) {
  return 0xff << 5 | static_cast<uint64_t>(what) << 3 | 3 << 1 | 1;
}

// What a guest that is taken to EL1 sees, and from which vector, counted from VBAR_EL1 in steps of
// 0x80: 4 is synchronous, 7 an SError.
struct GuestException {
  uint64_t vector = 0;
  uint64_t esr = 0;  // ESR_EL1, and so on
  uint64_t elr = 0;
  uint64_t far = 0;

  uint64_t exception_class() const { return esr >> 26 & 0x3f; }
};

// Vectors that store the four words to kReportAddress and spin.
void catch_exceptions(Machine& machine, Vcpu& vcpu);
// The four KVM_EXIT_MMIO of one; zeros, and the guest ends as differs, if there is none.
GuestException expect_exception(Vcpu& vcpu);
// Whether the exit that has just come is the first of them.
bool is_exception_report(Vcpu& vcpu);

// A KVM_EXIT_MMIO that stores to this address: what is stored, as the little-endian number it is.
uint64_t expect_store(Vcpu& vcpu, uint64_t address);
uint64_t stored_value(Vcpu& vcpu);
// What the load that has just exited is to give: mmio.data, as many bytes as it wants.
void answer_load(Vcpu& vcpu, uint64_t value);

// ESR_EL1 of a synchronous external data abort of the same exception level, IL set, without ISV.
inline constexpr uint64_t kEsrExternalAbort = 0x96000010;

// KVM_SET_VCPU_EVENTS with these members of `exception`, the rest zero.
void inject_external_abort(Vcpu& vcpu);
void inject_serror(Vcpu& vcpu);
void inject_serror(Vcpu& vcpu, uint64_t esr);

// KVM_ARM_VM_SMCCC_FILTER: calls of this function exit as KVM_EXIT_HYPERCALL.
void forward_smccc(Machine& machine, uint64_t function);

}  // namespace kvmtape::arm64
