#include "replayer/arch_names/vmx.h"

#include <fmt/format.h>

#include "replayer/arch_names/x86_registers.h"

namespace kvmtape {
namespace {

constexpr NamedValue kExitReasons[] = {
    {0, "EXIT_REASON_EXCEPTION_NMI"},
    {1, "EXIT_REASON_EXTERNAL_INTERRUPT"},
    {2, "EXIT_REASON_TRIPLE_FAULT"},
    {3, "EXIT_REASON_INIT_SIGNAL"},
    {4, "EXIT_REASON_SIPI_SIGNAL"},
    {6, "EXIT_REASON_OTHER_SMI"},
    {7, "EXIT_REASON_INTERRUPT_WINDOW"},
    {8, "EXIT_REASON_NMI_WINDOW"},
    {9, "EXIT_REASON_TASK_SWITCH"},
    {10, "EXIT_REASON_CPUID"},
    {12, "EXIT_REASON_HLT"},
    {13, "EXIT_REASON_INVD"},
    {14, "EXIT_REASON_INVLPG"},
    {15, "EXIT_REASON_RDPMC"},
    {16, "EXIT_REASON_RDTSC"},
    {18, "EXIT_REASON_VMCALL"},
    {19, "EXIT_REASON_VMCLEAR"},
    {20, "EXIT_REASON_VMLAUNCH"},
    {21, "EXIT_REASON_VMPTRLD"},
    {22, "EXIT_REASON_VMPTRST"},
    {23, "EXIT_REASON_VMREAD"},
    {24, "EXIT_REASON_VMRESUME"},
    {25, "EXIT_REASON_VMWRITE"},
    {26, "EXIT_REASON_VMOFF"},
    {27, "EXIT_REASON_VMON"},
    {28, "EXIT_REASON_CR_ACCESS"},
    {29, "EXIT_REASON_DR_ACCESS"},
    {30, "EXIT_REASON_IO_INSTRUCTION"},
    {31, "EXIT_REASON_MSR_READ"},
    {32, "EXIT_REASON_MSR_WRITE"},
    {33, "EXIT_REASON_INVALID_STATE"},
    {34, "EXIT_REASON_MSR_LOAD_FAIL"},
    {36, "EXIT_REASON_MWAIT_INSTRUCTION"},
    {37, "EXIT_REASON_MONITOR_TRAP_FLAG"},
    {39, "EXIT_REASON_MONITOR_INSTRUCTION"},
    {40, "EXIT_REASON_PAUSE_INSTRUCTION"},
    {41, "EXIT_REASON_MCE_DURING_VMENTRY"},
    {43, "EXIT_REASON_TPR_BELOW_THRESHOLD"},
    {44, "EXIT_REASON_APIC_ACCESS"},
    {45, "EXIT_REASON_EOI_INDUCED"},
    {46, "EXIT_REASON_GDTR_IDTR"},
    {47, "EXIT_REASON_LDTR_TR"},
    {48, "EXIT_REASON_EPT_VIOLATION"},
    {49, "EXIT_REASON_EPT_MISCONFIG"},
    {50, "EXIT_REASON_INVEPT"},
    {51, "EXIT_REASON_RDTSCP"},
    {52, "EXIT_REASON_PREEMPTION_TIMER"},
    {53, "EXIT_REASON_INVVPID"},
    {54, "EXIT_REASON_WBINVD"},
    {55, "EXIT_REASON_XSETBV"},
    {56, "EXIT_REASON_APIC_WRITE"},
    {57, "EXIT_REASON_RDRAND"},
    {58, "EXIT_REASON_INVPCID"},
    {59, "EXIT_REASON_VMFUNC"},
    {60, "EXIT_REASON_ENCLS"},
    {61, "EXIT_REASON_RDSEED"},
    {62, "EXIT_REASON_PML_FULL"},
    {63, "EXIT_REASON_XSAVES"},
    {64, "EXIT_REASON_XRSTORS"},
    {67, "EXIT_REASON_UMWAIT"},
    {68, "EXIT_REASON_TPAUSE"},
    {74, "EXIT_REASON_BUS_LOCK"},
    {75, "EXIT_REASON_NOTIFY"},
    {76, "EXIT_REASON_SEAMCALL"},
    {77, "EXIT_REASON_TDCALL"},
    {84, "EXIT_REASON_MSR_READ_IMM"},
    {85, "EXIT_REASON_MSR_WRITE_IMM"},
};
static_assert(strictly_rising(kExitReasons));

// Why a VM entry that passed the checks on controls and host state was then given up.
constexpr NamedValue kEntryFailures[] = {
    {33, "VM entry failed: invalid guest state"},
    {34, "VM entry failed: an MSR of the VM-entry MSR-load list could not be loaded"},
    {41, "VM entry failed: machine check during VM entry"},
};
static_assert(strictly_rising(kEntryFailures));

constexpr NamedValue kInstructionErrors[] = {
    {1, "VMCALL executed in VMX root operation"},
    {2, "VMCLEAR with invalid physical address"},
    {3, "VMCLEAR with VMXON pointer"},
    {4, "VMLAUNCH with non-clear VMCS"},
    {5, "VMRESUME with non-launched VMCS"},
    {6, "VMRESUME after VMXOFF"},
    {7, "VM entry with invalid control fields"},
    {8, "VM entry with invalid host-state fields"},
    {9, "VMPTRLD with invalid physical address"},
    {10, "VMPTRLD with VMXON pointer"},
    {11, "VMPTRLD with incorrect VMCS revision identifier"},
    {12, "VMREAD or VMWRITE of an unsupported VMCS component"},
    {13, "VMWRITE to a read-only VMCS component"},
    {15, "VMXON executed in VMX root operation"},
    {16, "VM entry with invalid executive-VMCS pointer"},
    {17, "VM entry with non-launched executive VMCS"},
    {18, "VM entry with executive-VMCS pointer not the VMXON pointer"},
    {19, "VMCALL with non-clear VMCS"},
    {20, "VMCALL with invalid VM-exit control fields"},
    {22, "VMCALL with incorrect MSEG revision identifier"},
    {23, "VMXOFF under dual-monitor treatment of SMIs and SMM"},
    {24, "VMCALL with invalid SMM-monitor features"},
    {25, "VM entry with invalid VM-execution control fields in executive VMCS"},
    {26, "VM entry with events blocked by MOV SS"},
    {28, "invalid operand to INVEPT or INVVPID"},
};
static_assert(strictly_rising(kInstructionErrors));

constexpr NamedValue kEventTypes[] = {
    {0, "external interrupt"},
    {2, "NMI"},
    {3, "hardware exception"},
    {4, "software interrupt"},
    {5, "privileged software exception"},
    {6, "software exception"},
    {7, "other event"},
};
static_assert(strictly_rising(kEventTypes));

constexpr uint32_t kEntryFailedBit = 1u << 31;
constexpr uint32_t kFromEnclaveBit = 1u << 27;
constexpr uint8_t kHardwareException = 3;
constexpr uint8_t kSoftwareException = 6;

}  // namespace

VmxExitReason decode_vmx_exit_reason(uint64_t value) {
  VmxExitReason reason;
  if (value >> 32 != 0) return reason;
  reason.basic = static_cast<uint16_t>(value & 0xffff);
  reason.name = name_of(kExitReasons, reason.basic);
  reason.entry_failed = (value & kEntryFailedBit) != 0;
  reason.from_enclave = (value & kFromEnclaveBit) != 0;
  if (reason.entry_failed) reason.entry_failure = name_of(kEntryFailures, reason.basic);
  return reason;
}

std::string vmx_exit_reason_text(uint64_t value) {
  const VmxExitReason reason = decode_vmx_exit_reason(value);
  if (value >> 32 != 0) return fmt::format("{:#x}", value);
  std::string text = name_or_hex(reason.name, reason.basic);
  if (!reason.entry_failure.empty())
    text += fmt::format(" ({})", reason.entry_failure);
  else if (reason.entry_failed)
    text += " (VM entry failed)";
  if (reason.from_enclave) text += ", from enclave mode";
  return text;
}

std::string_view vmx_fail_entry_name(uint64_t hardware_entry_failure_reason) {
  return (hardware_entry_failure_reason & kEntryFailedBit) != 0
             ? decode_vmx_exit_reason(hardware_entry_failure_reason).name
             : vmx_instruction_error(hardware_entry_failure_reason);
}

std::string vmx_fail_entry_text(uint64_t hardware_entry_failure_reason) {
  const uint64_t value = hardware_entry_failure_reason;
  if ((value & kEntryFailedBit) != 0 || value >> 32 != 0) return vmx_exit_reason_text(value);
  const std::string_view error = vmx_instruction_error(value);
  return error.empty() ? fmt::format("VM-instruction error {:#x}", value)
                       : fmt::format("VM-instruction error {}: {}", value, error);
}

std::string_view vmx_instruction_error(uint64_t number) {
  return name_of(kInstructionErrors, number);
}

VmxEventInfo decode_vmx_event_info(uint32_t value) {
  VmxEventInfo info;
  info.vector = static_cast<uint8_t>(value & 0xff);
  info.type = static_cast<uint8_t>((value >> 8) & 7);
  info.type_name = name_of(kEventTypes, info.type);
  info.has_error_code = (value & (1u << 11)) != 0;
  info.nmi_unblocking = (value & (1u << 12)) != 0;
  info.valid = (value & (1u << 31)) != 0;
  return info;
}

std::string vmx_event_info_text(uint32_t value) {
  const VmxEventInfo info = decode_vmx_event_info(value);
  if (!info.valid) return "none";
  const bool exception = info.type == kHardwareException || info.type == kSoftwareException;
  const std::string_view name = exception ? x86_exception_name(info.vector) : std::string_view{};
  return fmt::format("{} {}{}", info.type_name.empty() ? "reserved event type" : info.type_name,
                     name.empty() ? fmt::format("vector {:#x}", info.vector) : std::string(name),
                     info.has_error_code ? " with error code" : "");
}

NamedValues all_vmx_exit_reasons() { return kExitReasons; }
NamedValues all_vmx_instruction_errors() { return kInstructionErrors; }

}  // namespace kvmtape
