// Register sets of a vCPU, taken by vCPU ioctls on its own thread when the policy asks for them.
// Each ioctl can cost as much as an exit, and none is made unless the embedder allows it. What the
// kernel refuses is recorded as refused. The two functions differ by architecture (arch/*).
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "schema/snapshot.h"

struct kvmtape_vcpu;

namespace kvmtape {

// Where the sets go; one call makes one registers record.
class RegisterSink {
 public:
  virtual void put(RegisterSet set, RegisterStatus status, uint32_t error, const void* bytes,
                   uint32_t byte_count) noexcept = 0;

 protected:
  ~RegisterSink() = default;
};

// Who makes a vCPU's ioctls: its own thread, or somebody in its stead.
class VcpuIoctls {
 public:
  // 0, or -1 and errno, as ioctl(2).
  virtual int call(unsigned long request, void* argument) noexcept = 0;

 protected:
  ~VcpuIoctls() = default;
};

// What a debugger set up in the guest: x86 struct kvm_debugregs; arm64 MDSCR_EL1, MDCCINT_EL1,
// OSLSR_EL1, DBGBVR/DBGBCR/DBGWVR/DBGWCR, and ID_AA64DFR0_EL1.
void take_debug_registers(VcpuIoctls& vcpu, RegisterSink& sink) noexcept;

// What explains a crash: general and system registers, pending events, and the debug registers.
void take_crash_registers(VcpuIoctls& vcpu, RegisterSink& sink) noexcept;

// Every set that the two above would take, noted as not taken because no ioctl is allowed.
void note_registers_not_taken(bool crash, RegisterSink& sink) noexcept;

// The requests of the ioctls that the first two may make, for who must ask a filter about them.
std::span<const unsigned long> register_requests() noexcept;

// The kvm_valid_regs bits that make KVM_RUN leave registers in kvm_run; 0 where there are none.
uint64_t sync_register_bits() noexcept;

// The most words that one call above publishes.
inline constexpr uint32_t kRegisterWordsMax = 512;

}  // namespace kvmtape
