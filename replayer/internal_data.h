// The words behind KVM_EXIT_INTERNAL_ERROR, internal.data[]: what each is, which the interface does
// not say, and in words what VMX or SVM put there. Names are static; `meaning` allocates. Any
// thread; what is not known for certain, of this kernel and this host's processor, has no name.
#pragma once

#include <string>
#include <string_view>

#include "replayer/decode_context.h"
#include "replayer/exit.h"

namespace kvmtape {

struct InternalWord {
  std::string_view
      slot;             // as KVM's source calls it: "exit_reason", "vectoring_info"; empty: unknown
  std::string meaning;  // "EXIT_REASON_EPT_VIOLATION"; empty: a plain number, or nobody knows whose
};
// `field` is a valid internal.data[element] of `exit`.
InternalWord internal_word(const DecodeContext& context, const Exit& exit, const Field& field);

}  // namespace kvmtape
