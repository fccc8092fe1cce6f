// VMX numbers that KVM passes to user space: exit reasons (fail_entry, internal.data of suberrors
// 1, 3 and 4, hw.hardware_exit_reason), VM-instruction errors, and the event fields of
// internal.data. Pure functions, any thread, any input; the _text functions allocate.
//
// Sources: Intel SDM vol. 3 sections 25.9 (VM-exit information fields), 27.8 (failures while
// loading guest state), 31.4 (VM-instruction error numbers) and appendix C (basic exit reasons);
// arch/x86/include/uapi/asm/vmx.h of Linux 7.3 for the names.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "replayer/arch_names/named_value.h"

namespace kvmtape {

struct VmxExitReason {
  uint16_t basic = 0;              // bits 15:0
  std::string_view name;           // "EXIT_REASON_EPT_VIOLATION"; empty: reserved
  bool entry_failed = false;       // bit 31
  bool from_enclave = false;       // bit 27
  std::string_view entry_failure;  // what 33, 34 and 41 mean; only with entry_failed
};
// A value above 32 bits is none (tdx.c hands over the TDX module's status words): nothing of it.
VmxExitReason decode_vmx_exit_reason(uint64_t value);
// "EXIT_REASON_INVALID_STATE (VM entry failed: invalid guest state)"
std::string vmx_exit_reason_text(uint64_t value);

// "VM entry with invalid control fields" for 7; empty where the SDM has none.
std::string_view vmx_instruction_error(uint64_t number);

// fail_entry.hardware_entry_failure_reason as VMX fills it: the full exit reason where bit 31 is
// set, else the VM-instruction error. The name of either, or one with words around it.
std::string_view vmx_fail_entry_name(uint64_t hardware_entry_failure_reason);
std::string vmx_fail_entry_text(uint64_t hardware_entry_failure_reason);

// VM-entry interruption-information, VM-exit interruption-information and IDT-vectoring
// information share one layout.
struct VmxEventInfo {
  uint8_t vector = 0;
  uint8_t type = 0;
  std::string_view type_name;  // empty: reserved
  bool has_error_code = false;
  bool nmi_unblocking = false;  // bit 12: meaningful in VM-exit information only
  bool valid = false;           // false: nothing else means anything
};
VmxEventInfo decode_vmx_event_info(uint32_t value);
// "hardware exception #PF with error code"; "none" where the valid bit is clear.
std::string vmx_event_info_text(uint32_t value);

NamedValues all_vmx_exit_reasons();
NamedValues all_vmx_instruction_errors();

}  // namespace kvmtape
