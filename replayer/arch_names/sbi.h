// RISC-V SBI calls by name, as riscv_sbi.extension_id and function_id of KVM_EXIT_RISCV_SBI hold
// them, error codes, and the words of the system reset extension. Pure functions, any thread, any
// input; an empty name means not known; sbi_text allocates.
//
// Sources: RISC-V Supervisor Binary Interface Specification 3.0; arch/riscv/include/asm/sbi.h of
// Linux 6.12 for the names of what it defines.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "replayer/arch_names/named_value.h"

namespace kvmtape {

std::string_view sbi_extension_name(uint64_t extension_id);  // "SRST"
// "SYSTEM_RESET" of SRST 0. The calls of SBI 0.1 are extensions without functions.
std::string_view sbi_function_name(uint64_t extension_id, uint64_t function_id);
// "SBI SRST SYSTEM_RESET"; numbers where there are no names; vendor and experimental ranges said.
std::string sbi_text(uint64_t extension_id, uint64_t function_id);

std::string_view sbi_error_name(int64_t error);  // "SBI_ERR_DENIED" for -4

// Arguments of SRST SYSTEM_RESET. KVM puts the reason in system_event.data[0].
std::string_view sbi_reset_type_name(uint64_t type);      // "cold reboot"
std::string_view sbi_reset_reason_name(uint64_t reason);  // "system failure"

NamedValues all_sbi_extensions();

}  // namespace kvmtape
