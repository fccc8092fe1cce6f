#include "recorder/probe/exit_name.h"

#include <fmt/core.h>

#include <array>

namespace kvmtape {
namespace {

// include/uapi/linux/kvm.h of Linux 7.2, KVM_EXIT_*, by number.
constexpr auto kNames = std::to_array<const char*>({
    "UNKNOWN",
    "EXCEPTION",
    "IO",
    "HYPERCALL",
    "DEBUG",
    "HLT",
    "MMIO",
    "IRQ_WINDOW_OPEN",
    "SHUTDOWN",
    "FAIL_ENTRY",
    "INTR",
    "SET_TPR",
    "TPR_ACCESS",
    "S390_SIEIC",
    "S390_RESET",
    "DCR",
    "NMI",
    "INTERNAL_ERROR",
    "OSI",
    "PAPR_HCALL",
    "S390_UCONTROL",
    "WATCHDOG",
    "S390_TSCH",
    "EPR",
    "SYSTEM_EVENT",
    "S390_STSI",
    "IOAPIC_EOI",
    "HYPERV",
    "ARM_NISV",
    "X86_RDMSR",
    "X86_WRMSR",
    "DIRTY_RING_FULL",
    "AP_RESET_HOLD",
    "X86_BUS_LOCK",
    "XEN",
    "RISCV_SBI",
    "RISCV_CSR",
    "NOTIFY",
    "LOONGARCH_IOCSR",
    "MEMORY_FAULT",
    "TDX",
    "ARM_SEA",
    "ARM_LDST64B",
    "SNP_REQ_CERTS",
});

}  // namespace

std::string exit_reason_name(uint32_t reason) {
  if (reason >= kNames.size()) return fmt::format("KVM_EXIT_{}", reason);
  return fmt::format("KVM_EXIT_{}", kNames[reason]);
}

}  // namespace kvmtape
