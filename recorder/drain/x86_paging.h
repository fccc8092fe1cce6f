// From an address of an x86 guest to where it lies in the guest's physical memory: the walk of its
// page tables as Intel's SDM (volume 3, chapter 4) describes it, for no paging, 32-bit paging, PAE,
// and four or five levels. Only whether an address is mapped matters, not who may use it. The
// tables are the guest's and not trusted: a walk reads at most five entries.
#pragma once

#include <cstdint>
#include <optional>
#include <span>

#include "recorder/drain/guest_memory.h"

namespace kvmtape {

// What of struct kvm_regs and struct kvm_sregs says where instructions and stack are.
struct X86State {
  uint64_t rip = 0, rsp = 0;
  uint64_t cs_base = 0, ss_base = 0;
  bool cs_long = false, cs_32 = false, ss_32 = false;
  uint64_t cr0 = 0, cr3 = 0, cr4 = 0, efer = 0;

  bool is_long_mode() const;
  // Bits of the code's operands and addresses: 16, 32 or 64.
  uint8_t code_bits() const;
  // Linear addresses.
  uint64_t instruction_address() const;
  uint64_t stack_address() const;
  // How far the stack goes on below and from the stack pointer on: one of 16 bits wraps within 64
  // KiB, and what lies beyond these is not its.
  uint64_t stack_bytes_below() const;
  uint64_t stack_bytes_above() const;
};

// From the bytes as the kernel wrote them; nothing if they are too short.
std::optional<X86State> x86_state(std::span<const uint8_t> kvm_regs,
                                  std::span<const uint8_t> kvm_sregs);

// Where `linear` lies; nothing if it is not mapped, or the tables are not in memory.
std::optional<uint64_t> x86_translate(const X86State& state, uint64_t linear,
                                      GuestPhysicalReader& memory);

}  // namespace kvmtape
