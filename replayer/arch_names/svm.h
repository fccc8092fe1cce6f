// SVM exit codes, as KVM passes them in fail_entry.hardware_entry_failure_reason, in internal.data
// and in hw.hardware_exit_reason. Pure functions, any thread, any input; the _text function
// allocates.
//
// Sources: AMD APM vol. 2 appendix C; arch/x86/include/uapi/asm/svm.h of Linux 7.3 for the names.
// The codes 0x80000001 and up are software events of the GHCB protocol, not of the processor.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "replayer/arch_names/named_value.h"

namespace kvmtape {

// "SVM_EXIT_NPF", "SVM_EXIT_EXCP_0x0e", "SVM_VMGEXIT_PSC"; "SVM_EXIT_ERR" for -1 of 32 or 64 bits;
// empty: not known.
std::string_view svm_exit_code_name(uint64_t code);
// The name, with the exception's or the meaning of -1: "SVM_EXIT_EXCP_0x0e (#PF)".
std::string svm_exit_code_text(uint64_t code);

// Without exceptions and -1.
NamedValues all_svm_exit_codes();

}  // namespace kvmtape
