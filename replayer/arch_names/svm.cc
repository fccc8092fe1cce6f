#include "replayer/arch_names/svm.h"

#include <fmt/format.h>

#include "replayer/arch_names/x86_registers.h"

namespace kvmtape {
namespace {

// Without the 32 codes of exceptions, which svm_exit_code_name computes.
constexpr NamedValue kExitCodes[] = {
    {0x0, "SVM_EXIT_READ_CR0"},
    {0x2, "SVM_EXIT_READ_CR2"},
    {0x3, "SVM_EXIT_READ_CR3"},
    {0x4, "SVM_EXIT_READ_CR4"},
    {0x8, "SVM_EXIT_READ_CR8"},
    {0x10, "SVM_EXIT_WRITE_CR0"},
    {0x12, "SVM_EXIT_WRITE_CR2"},
    {0x13, "SVM_EXIT_WRITE_CR3"},
    {0x14, "SVM_EXIT_WRITE_CR4"},
    {0x18, "SVM_EXIT_WRITE_CR8"},
    {0x20, "SVM_EXIT_READ_DR0"},
    {0x21, "SVM_EXIT_READ_DR1"},
    {0x22, "SVM_EXIT_READ_DR2"},
    {0x23, "SVM_EXIT_READ_DR3"},
    {0x24, "SVM_EXIT_READ_DR4"},
    {0x25, "SVM_EXIT_READ_DR5"},
    {0x26, "SVM_EXIT_READ_DR6"},
    {0x27, "SVM_EXIT_READ_DR7"},
    {0x30, "SVM_EXIT_WRITE_DR0"},
    {0x31, "SVM_EXIT_WRITE_DR1"},
    {0x32, "SVM_EXIT_WRITE_DR2"},
    {0x33, "SVM_EXIT_WRITE_DR3"},
    {0x34, "SVM_EXIT_WRITE_DR4"},
    {0x35, "SVM_EXIT_WRITE_DR5"},
    {0x36, "SVM_EXIT_WRITE_DR6"},
    {0x37, "SVM_EXIT_WRITE_DR7"},
    {0x60, "SVM_EXIT_INTR"},
    {0x61, "SVM_EXIT_NMI"},
    {0x62, "SVM_EXIT_SMI"},
    {0x63, "SVM_EXIT_INIT"},
    {0x64, "SVM_EXIT_VINTR"},
    {0x65, "SVM_EXIT_CR0_SEL_WRITE"},
    {0x66, "SVM_EXIT_IDTR_READ"},
    {0x67, "SVM_EXIT_GDTR_READ"},
    {0x68, "SVM_EXIT_LDTR_READ"},
    {0x69, "SVM_EXIT_TR_READ"},
    {0x6a, "SVM_EXIT_IDTR_WRITE"},
    {0x6b, "SVM_EXIT_GDTR_WRITE"},
    {0x6c, "SVM_EXIT_LDTR_WRITE"},
    {0x6d, "SVM_EXIT_TR_WRITE"},
    {0x6e, "SVM_EXIT_RDTSC"},
    {0x6f, "SVM_EXIT_RDPMC"},
    {0x70, "SVM_EXIT_PUSHF"},
    {0x71, "SVM_EXIT_POPF"},
    {0x72, "SVM_EXIT_CPUID"},
    {0x73, "SVM_EXIT_RSM"},
    {0x74, "SVM_EXIT_IRET"},
    {0x75, "SVM_EXIT_SWINT"},
    {0x76, "SVM_EXIT_INVD"},
    {0x77, "SVM_EXIT_PAUSE"},
    {0x78, "SVM_EXIT_HLT"},
    {0x79, "SVM_EXIT_INVLPG"},
    {0x7a, "SVM_EXIT_INVLPGA"},
    {0x7b, "SVM_EXIT_IOIO"},
    {0x7c, "SVM_EXIT_MSR"},
    {0x7d, "SVM_EXIT_TASK_SWITCH"},
    {0x7e, "SVM_EXIT_FERR_FREEZE"},
    {0x7f, "SVM_EXIT_SHUTDOWN"},
    {0x80, "SVM_EXIT_VMRUN"},
    {0x81, "SVM_EXIT_VMMCALL"},
    {0x82, "SVM_EXIT_VMLOAD"},
    {0x83, "SVM_EXIT_VMSAVE"},
    {0x84, "SVM_EXIT_STGI"},
    {0x85, "SVM_EXIT_CLGI"},
    {0x86, "SVM_EXIT_SKINIT"},
    {0x87, "SVM_EXIT_RDTSCP"},
    {0x88, "SVM_EXIT_ICEBP"},
    {0x89, "SVM_EXIT_WBINVD"},
    {0x8a, "SVM_EXIT_MONITOR"},
    {0x8b, "SVM_EXIT_MWAIT"},
    {0x8c, "SVM_EXIT_MWAIT_COND"},
    {0x8d, "SVM_EXIT_XSETBV"},
    {0x8e, "SVM_EXIT_RDPRU"},
    {0x8f, "SVM_EXIT_EFER_WRITE_TRAP"},
    {0x90, "SVM_EXIT_CR0_WRITE_TRAP"},
    {0x91, "SVM_EXIT_CR1_WRITE_TRAP"},
    {0x92, "SVM_EXIT_CR2_WRITE_TRAP"},
    {0x93, "SVM_EXIT_CR3_WRITE_TRAP"},
    {0x94, "SVM_EXIT_CR4_WRITE_TRAP"},
    {0x95, "SVM_EXIT_CR5_WRITE_TRAP"},
    {0x96, "SVM_EXIT_CR6_WRITE_TRAP"},
    {0x97, "SVM_EXIT_CR7_WRITE_TRAP"},
    {0x98, "SVM_EXIT_CR8_WRITE_TRAP"},
    {0x99, "SVM_EXIT_CR9_WRITE_TRAP"},
    {0x9a, "SVM_EXIT_CR10_WRITE_TRAP"},
    {0x9b, "SVM_EXIT_CR11_WRITE_TRAP"},
    {0x9c, "SVM_EXIT_CR12_WRITE_TRAP"},
    {0x9d, "SVM_EXIT_CR13_WRITE_TRAP"},
    {0x9e, "SVM_EXIT_CR14_WRITE_TRAP"},
    {0x9f, "SVM_EXIT_CR15_WRITE_TRAP"},
    {0xa2, "SVM_EXIT_INVPCID"},
    {0xa5, "SVM_EXIT_BUS_LOCK"},
    {0xa6, "SVM_EXIT_IDLE_HLT"},
    {0x400, "SVM_EXIT_NPF"},
    {0x401, "SVM_EXIT_AVIC_INCOMPLETE_IPI"},
    {0x402, "SVM_EXIT_AVIC_UNACCELERATED_ACCESS"},
    {0x403, "SVM_EXIT_VMGEXIT"},
    {0x80000001, "SVM_VMGEXIT_MMIO_READ"},
    {0x80000002, "SVM_VMGEXIT_MMIO_WRITE"},
    {0x80000003, "SVM_VMGEXIT_NMI_COMPLETE"},
    {0x80000004, "SVM_VMGEXIT_AP_HLT_LOOP"},
    {0x80000005, "SVM_VMGEXIT_AP_JUMP_TABLE"},
    {0x80000010, "SVM_VMGEXIT_PSC"},
    {0x80000011, "SVM_VMGEXIT_GUEST_REQUEST"},
    {0x80000012, "SVM_VMGEXIT_EXT_GUEST_REQUEST"},
    {0x80000013, "SVM_VMGEXIT_AP_CREATION"},
    {0x80000018, "SVM_VMGEXIT_SNP_RUN_VMPL"},
    {0x8000001a, "SVM_VMGEXIT_SAVIC"},
    {0x8000fffd, "SVM_VMGEXIT_HV_FEATURES"},
    {0x8000fffe, "SVM_VMGEXIT_TERM_REQUEST"},
    {0x8000ffff, "SVM_VMGEXIT_UNSUPPORTED_EVENT"},
    {0xf0000000, "SVM_EXIT_SW"},
};
static_assert(strictly_rising(kExitCodes));

constexpr uint64_t kExceptionBase = 0x40;
constexpr uint64_t kExceptionCount = 32;

constexpr std::string_view kExceptionNames[kExceptionCount] = {
    "SVM_EXIT_EXCP_0x00", "SVM_EXIT_EXCP_0x01", "SVM_EXIT_EXCP_0x02", "SVM_EXIT_EXCP_0x03",
    "SVM_EXIT_EXCP_0x04", "SVM_EXIT_EXCP_0x05", "SVM_EXIT_EXCP_0x06", "SVM_EXIT_EXCP_0x07",
    "SVM_EXIT_EXCP_0x08", "SVM_EXIT_EXCP_0x09", "SVM_EXIT_EXCP_0x0a", "SVM_EXIT_EXCP_0x0b",
    "SVM_EXIT_EXCP_0x0c", "SVM_EXIT_EXCP_0x0d", "SVM_EXIT_EXCP_0x0e", "SVM_EXIT_EXCP_0x0f",
    "SVM_EXIT_EXCP_0x10", "SVM_EXIT_EXCP_0x11", "SVM_EXIT_EXCP_0x12", "SVM_EXIT_EXCP_0x13",
    "SVM_EXIT_EXCP_0x14", "SVM_EXIT_EXCP_0x15", "SVM_EXIT_EXCP_0x16", "SVM_EXIT_EXCP_0x17",
    "SVM_EXIT_EXCP_0x18", "SVM_EXIT_EXCP_0x19", "SVM_EXIT_EXCP_0x1a", "SVM_EXIT_EXCP_0x1b",
    "SVM_EXIT_EXCP_0x1c", "SVM_EXIT_EXCP_0x1d", "SVM_EXIT_EXCP_0x1e", "SVM_EXIT_EXCP_0x1f"};

}  // namespace

std::string_view svm_exit_code_name(uint64_t code) {
  // VMEXIT_INVALID is -1; kernels have kept it in a u32, in a u64, and sign-extended.
  if (code == UINT32_MAX || code == UINT64_MAX) return "SVM_EXIT_ERR";
  if (code >= kExceptionBase && code < kExceptionBase + kExceptionCount)
    return kExceptionNames[code - kExceptionBase];
  return name_of(kExitCodes, code);
}

std::string svm_exit_code_text(uint64_t code) {
  const std::string_view name = svm_exit_code_name(code);
  if (name == "SVM_EXIT_ERR") return "SVM_EXIT_ERR (VMRUN failed: invalid guest state in VMCB)";
  if (code >= kExceptionBase && code < kExceptionBase + kExceptionCount) {
    const auto vector = static_cast<uint8_t>(code - kExceptionBase);
    const std::string_view exception = x86_exception_name(vector);
    if (!exception.empty()) return fmt::format("{} ({})", name, exception);
  }
  return name_or_hex(name, code);
}

NamedValues all_svm_exit_codes() { return kExitCodes; }

}  // namespace kvmtape
