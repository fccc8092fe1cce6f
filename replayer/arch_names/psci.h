// arm64 firmware calls: PSCI and the other services behind the SMC Calling Convention, as they
// stand in hypercall.nr of KVM_EXIT_HYPERCALL and in a guest's x0. Pure functions, any thread, any
// input; the _text function allocates.
//
// Sources: Arm DEN0022 (PSCI), DEN0028 (SMCCC), DEN0057 (PV time), DEN0098 (TRNG);
// include/uapi/linux/psci.h and include/linux/arm-smccc.h of Linux 6.12, psci.h of 6.13 for
// SYSTEM_OFF2 and CLEAN_INV_MEMREGION, arch/arm64/include/uapi/asm/kvm.h for KVM's numbers of PSCI
// 0.1.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "replayer/arch_names/named_value.h"

namespace kvmtape {

struct SmcccFunction {
  uint32_t id = 0;
  std::string_view name;   // "PSCI_CPU_ON", the same for both widths; empty: not known
  bool fast = false;       // bit 31; a yielding call otherwise
  bool is_64bit = false;   // bit 30: SMC64 or HVC64 convention
  std::string_view owner;  // bits 29:24, "standard secure service"; empty: reserved
  uint16_t number = 0;     // bits 15:0
};
SmcccFunction decode_smccc(uint32_t function_id);
// "PSCI_CPU_ON (64-bit)"; "yielding call 0x1 of trusted OS, 32-bit" where the function has no name.
std::string smccc_text(uint32_t function_id);

// "PSCI_RET_DENIED" for -3; empty: not known. x0 after a call: the low 32 bits decide.
std::string_view psci_return_name(int32_t value);

NamedValues all_smccc_functions();

}  // namespace kvmtape
