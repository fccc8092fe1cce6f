// Names of x86 model-specific registers, for KVM_EXIT_X86_RDMSR and WRMSR, for register records and
// for the rows of `stat`. Pure functions, any thread, any input; msr_text allocates.
//
// Sources: arch/x86/include/asm/msr-index.h, hyperv-tlfs.h and apicdef.h of Linux 6.12,
// uapi/asm/kvm_para.h of Linux 6.1, arch/x86/kvm/hyperv.h for the synthetic debugger's. Where
// vendors share a number, the name is the one that KVM uses.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "replayer/arch_names/named_value.h"

namespace kvmtape {

// "MSR_EFER"; empty where this build knows none.
std::string_view msr_name(uint32_t index);
// The name, also of machine check banks ("MSR_IA32_MC3_STATUS"), or the number in hex.
std::string msr_text(uint32_t index);

// Below 0x40000000, the architectural numbers (low_msrs.cc), and from there on.
NamedValues low_msrs();
NamedValues high_msrs();

}  // namespace kvmtape
