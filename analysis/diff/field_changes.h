// Two exits that are the same one, field by field: what is different, with validity on both sides,
// and which changes of the kernel explain it. Any thread. Found without text first, since of many
// differences only few are told.
#pragma once

#include <string_view>
#include <vector>

#include "analysis/diff/diff.h"

namespace kvmtape {

struct ComparedExit {
  const DecodedExit& decoded;
  GuestAddresses addresses;
  std::string_view guest;  // ExitWalk::guest()
};

// Borrows both exits.
struct FieldDifference {
  enum class Of : uint8_t { kReason, kErrno, kFlags, kField };
  Of of = Of::kField;
  bool in_answer = false;
  const Field* a = nullptr;  // kField; nullptr: this exit has no such field
  const Field* b = nullptr;
  std::vector<KernelDifferences::Difference> explained_by;  // the likeliest first

  std::string_view name() const;  // "debug.arch.far", of an element without its number
};

// A field that neither side can believe is no difference.
void find_differences(const ComparedExit& a, const ComparedExit& b, Normaliser& normaliser,
                      const KernelDifferences& kernels, std::vector<FieldDifference>& found);

// Equal for differences of the same field with the same validity on either side.
uint64_t kind_of(const FieldDifference& difference, const DecodedExit& a, const DecodedExit& b);

// What is returned owns its text.
FieldChange described(const FieldDifference& difference, Architecture architecture,
                      const ComparedExit& a, const ComparedExit& b);

}  // namespace kvmtape
