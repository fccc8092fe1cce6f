// PAPR hypercalls of ppc64 guests: names of the numbers in papr_hcall.nr of KVM_EXIT_PAPR_HCALL and
// of what a monitor returns in papr_hcall.ret. Pure functions, any thread, any input.
//
// Source: Linux on Power Architecture Reference, chapter 14; arch/powerpc/include/asm/hvcall.h of
// Linux 6.12 for the names (a guest's pseudo-codes such as H_SVM_PAGE_IN, the ultravisor's, among
// them).
#pragma once

#include <cstdint>
#include <string_view>

#include "replayer/arch_names/named_value.h"

namespace kvmtape {

// "H_PUT_TERM_CHAR"; empty: not known.
std::string_view papr_hcall_name(uint64_t number);
// "H_PARAMETER" for -4; empty: not known.
std::string_view papr_return_name(uint64_t value);

NamedValues all_papr_hcalls();
NamedValues all_papr_returns();

}  // namespace kvmtape
