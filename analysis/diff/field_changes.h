// Two exits that are the same one, field by field: what is different, with validity on both sides,
// and which changes of the kernel explain it. Any thread; what is returned owns its text but for
// static `why`s.
#pragma once

#include <vector>

#include "analysis/diff/diff.h"

namespace kvmtape {

struct ComparedExit {
  const DecodedExit& decoded;
  const SlotOffsets& slots;
};

// A field that neither side can believe is no difference.
std::vector<FieldChange> field_changes(const ComparedExit& a, const ComparedExit& b,
                                       Normaliser& normaliser, const KernelDifferences& kernels);

}  // namespace kvmtape
