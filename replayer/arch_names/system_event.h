// KVM_EXIT_SYSTEM_EVENT in words: types, and what data[0] means for them on each architecture.
// Where the bytes of type and data stand, and whether they may be believed, is the exit decoder's
// business. Pure functions, any thread, any input; the _text function allocates.
//
// Sources: include/uapi/linux/kvm.h of Linux 7.3; arch/arm64/include/uapi/asm/kvm.h for the flags
// (RESET2: Linux 5.18, OFF2: 6.14); arch/riscv/kvm/vcpu_sbi.c (data[0] is the SRST reason);
// arch/x86/kvm/svm/sev.c (data[0] is the GHCB MSR) and vmx/tdx.c (16 registers).
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "replayer/arch_names/named_value.h"
#include "schema/trace_format.h"

namespace kvmtape {

// "KVM_SYSTEM_EVENT_CRASH"; empty: not known. In the kvm/next kernels of April 2022 4 was SEV_TERM.
std::string_view system_event_type_name(uint32_t type);

// The flags in data[0] of arm64: "KVM_SYSTEM_EVENT_RESET_FLAG_PSCI_RESET2" for RESET with bit 0,
// "KVM_SYSTEM_EVENT_SHUTDOWN_FLAG_PSCI_OFF2" for SHUTDOWN with bit 0; empty for any other value.
std::string_view arm64_system_event_flag_name(uint32_t type, uint64_t flags);

// "reset (PSCI SYSTEM_RESET2)", "shutdown, SRST reason: system failure", "guest requested
// termination:
// ..."; `data` is what may be believed of it, none of it where nothing may.
std::string system_event_text(Architecture architecture, uint32_t type,
                              std::span<const uint64_t> data);

NamedValues all_system_event_types();

}  // namespace kvmtape
