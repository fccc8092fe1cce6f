// The registers that were taken with two exits that are the same one: what is different, with
// validity on both sides. Only sets that both recordings asked the kernel for are compared: what a
// recorder was told to take is a difference of sessions, and a register that only one of them has
// is told only where a known change of the kernel is about it. Nor is a value compared with one of
// which the recording cannot tell whether it is the register's. Any thread.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "analysis/diff/diff.h"
#include "analysis/register_set.h"

namespace kvmtape {

struct TakenRegisters {
  const DecodeContext& context;
  const RegisterSets& sets;
  const Symbols* symbols = nullptr;  // of the guest; nullptr: addresses as they are
};

// Other numbers for sets in which anything is different that is compared. `one_kernel`: both
// recordings are of one, so that what may be believed is the same in both.
uint64_t hash_registers(const TakenRegisters& taken, const DiffRules& rules, bool one_kernel);

// Named "kvm_one_reg.OSLSR_EL1", "kvm_debugregs.db[2]"; "kvm_vcpu_events" where the kernel refused
// the whole set on one side. `guest` as ExitWalk::guest() says.
std::vector<FieldChange> register_changes(const TakenRegisters& a, const TakenRegisters& b,
                                          const DiffRules& rules, const KernelDifferences& kernels,
                                          std::string_view guest);

}  // namespace kvmtape
