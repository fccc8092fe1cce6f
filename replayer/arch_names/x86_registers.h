// x86 registers by bit name, and exception vectors. Pure functions, any thread, any input; those
// that return std::string allocate.
//
// Sources: Intel SDM vol. 3 sections 2.3 (EFLAGS), 2.5 (control registers), 6.15 (exceptions); AMD
// APM vol. 2 sections 3.1.7 (EFER) and 8.2 (exceptions); names from
// arch/x86/include/uapi/asm/processor-flags.h and asm/msr-index.h of Linux 6.12.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "replayer/arch_names/named_value.h"

namespace kvmtape {

// "#PF" for 14, "NMI" for 2; empty for a reserved vector and for interrupts (32 and up).
std::string_view x86_exception_name(uint8_t vector);
bool x86_exception_has_error_code(uint8_t vector);

// "ZF|IF|IOPL=3"; the bit that is always 1 is left out.
std::string eflags_text(uint64_t eflags);
// "PE|NE|WP|PG"; bits that have no name follow in hex; "0" for none.
std::string cr0_text(uint64_t cr0);
std::string cr4_text(uint64_t cr4);
std::string efer_text(uint64_t efer);
// The error code of a page fault: "P|W|U".
std::string page_fault_error_text(uint64_t error_code);

NamedValues all_exceptions();
NamedValues all_eflags_bits();
NamedValues all_cr0_bits();
NamedValues all_cr4_bits();
NamedValues all_efer_bits();

}  // namespace kvmtape
