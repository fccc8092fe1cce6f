#include <gtest/gtest.h>

#include <random>

#include "replayer/arch_names/msr_names.h"
#include "replayer/arch_names/svm.h"
#include "replayer/arch_names/vmx.h"
#include "replayer/arch_names/x86_debug.h"
#include "replayer/arch_names/x86_registers.h"
#include "tests/replayer/arch_names/header_constants.h"

namespace kvmtape {
namespace {

TEST(Vmx, HasEveryExitReasonOfTheKernelHeader) {
  const auto rows = header_constants("vmx_reasons.csv");
  EXPECT_EQ(all_vmx_exit_reasons().size(), rows.size());
  for (const HeaderConstant& row : rows)
    EXPECT_EQ(decode_vmx_exit_reason(row.value).name, "EXIT_REASON_" + row.name);
}

TEST(Vmx, SaysWhatAnEntryFailureMeans) {
  EXPECT_EQ(vmx_exit_reason_text(0x80000021),
            "EXIT_REASON_INVALID_STATE (VM entry failed: invalid guest state)");
  EXPECT_EQ(vmx_exit_reason_text(33), "EXIT_REASON_INVALID_STATE");
  EXPECT_EQ(vmx_exit_reason_text(0x80000030), "EXIT_REASON_EPT_VIOLATION (VM entry failed)");
  EXPECT_EQ(vmx_exit_reason_text(0x08000000), "EXIT_REASON_EXCEPTION_NMI, from enclave mode");
  EXPECT_EQ(vmx_exit_reason_text(5), "0x5");
}

TEST(Vmx, ReadsFailEntryByBit31) {
  EXPECT_EQ(
      vmx_fail_entry_text(0x80000022),
      "EXIT_REASON_MSR_LOAD_FAIL (VM entry failed: an MSR of the VM-entry MSR-load list could "
      "not be loaded)");
  EXPECT_EQ(vmx_fail_entry_text(7), "VM-instruction error 7: VM entry with invalid control fields");
  EXPECT_EQ(vmx_fail_entry_text(14), "VM-instruction error 0xe");
}

TEST(Vmx, ReadsEventInformation) {
  EXPECT_EQ(vmx_event_info_text(0x80000b0e), "hardware exception #PF with error code");
  EXPECT_EQ(vmx_event_info_text(0x80000202), "NMI vector 0x2");
  EXPECT_EQ(vmx_event_info_text(0x80000030), "external interrupt vector 0x30");
  EXPECT_EQ(vmx_event_info_text(0x80000603), "software exception #BP");
  EXPECT_EQ(vmx_event_info_text(0x00000b0e), "none");
}

TEST(Svm, HasEveryExitCodeOfTheKernelHeader) {
  for (const HeaderConstant& row : header_constants("svm_exitcodes.csv")) {
    // The bounds of the exceptions, not codes of their own.
    if (row.name == "EXIT_EXCP_BASE" || row.name == "EXIT_LAST_EXCP") continue;
    EXPECT_EQ(svm_exit_code_name(row.value), "SVM_" + row.name);
  }
}

TEST(Svm, NamesExceptionsByVector) {
  EXPECT_EQ(svm_exit_code_text(0x40 + 14), "SVM_EXIT_EXCP_0x0e (#PF)");
  EXPECT_EQ(svm_exit_code_text(0x5f), "SVM_EXIT_EXCP_0x1f");
  EXPECT_EQ(svm_exit_code_name(0x60), "SVM_EXIT_INTR");
}

TEST(Svm, KnowsMinusOneInEitherWidth) {
  EXPECT_EQ(svm_exit_code_name(0xffffffff), "SVM_EXIT_ERR");
  EXPECT_EQ(svm_exit_code_name(~uint64_t{0}), "SVM_EXIT_ERR");
  EXPECT_EQ(svm_exit_code_name(0x1ffffffff), "");
  EXPECT_EQ(svm_exit_code_text(0x9999), "0x9999");
}

TEST(X86Debug, NamesWhatDr6Reports) {
  EXPECT_EQ(dr6_text(0xffff4ff0), "single step");
  EXPECT_EQ(dr6_text(0xffff0ff1), "breakpoint 0");
  EXPECT_EQ(dr6_text(0xffff4ff8), "single step, breakpoint 3");
  EXPECT_EQ(dr6_text(0xffff2ff0), "debug register access");
  EXPECT_EQ(dr6_text(0xffff07f0), "bus lock");
  EXPECT_EQ(dr6_text(0xfffe0ff0), "in a transaction");
  EXPECT_EQ(dr6_text(0xffff0ff0), "nothing reported");
}

TEST(X86Debug, ReadsEachSlotOfDr7) {
  // L0 execute; G1 write of 4; L3 and G3 read or write of 8.
  const uint64_t dr7 =
      0x400 | 1u << 0 | 1u << 3 | 3u << 6 | 1u << 20 | 3u << 22 | 3u << 28 | uint64_t{2} << 30;
  EXPECT_EQ(dr7_text(dr7), "0: execute (L), 1: write 4 bytes (G), 3: read or write 8 bytes (L|G)");
  EXPECT_EQ(dr7_text(0x400), "no breakpoint enabled");
  EXPECT_EQ(dr7_text(0x2400), "no breakpoint enabled, debug register accesses");
  EXPECT_EQ(debug_exception_text(0xffff0ff6, dr7),
            "breakpoint 1 (write 4 bytes), breakpoint 2 (not enabled in DR7)");
}

TEST(X86Registers, NameBits) {
  EXPECT_EQ(eflags_text(0x246), "PF|ZF|IF");
  EXPECT_EQ(eflags_text(0x3002), "IOPL=3");
  EXPECT_EQ(eflags_text(2), "0");
  EXPECT_EQ(cr0_text(0x80050033), "PE|MP|ET|NE|WP|AM|PG");
  EXPECT_EQ(cr0_text(0x40), "0x40");
  EXPECT_EQ(cr4_text(0x3406f0), "PSE|PAE|MCE|PGE|OSFXSR|OSXMMEXCPT|OSXSAVE|SMEP|SMAP");
  EXPECT_EQ(efer_text(0xd01), "SCE|LME|LMA|NX");
  EXPECT_EQ(page_fault_error_text(7), "P|W|U");
  EXPECT_TRUE(x86_exception_has_error_code(13));
  EXPECT_FALSE(x86_exception_has_error_code(6));
  EXPECT_FALSE(x86_exception_has_error_code(45));
}

TEST(Msr, NamesTheCommonOnes) {
  EXPECT_EQ(msr_name(0xc0000080), "MSR_EFER");
  EXPECT_EQ(msr_name(0xc0000082), "MSR_LSTAR");
  EXPECT_EQ(msr_name(0x8b), "MSR_IA32_UCODE_REV");
  EXPECT_EQ(msr_name(0x4b564d01), "MSR_KVM_SYSTEM_TIME_NEW");
  EXPECT_EQ(msr_name(0x40000000), "HV_X64_MSR_GUEST_OS_ID");
  EXPECT_EQ(msr_name(0x6e0), "MSR_IA32_TSC_DEADLINE");
  EXPECT_EQ(msr_name(0x830), "x2APIC_ICR");
  EXPECT_EQ(msr_text(0x40d), "MSR_IA32_MC3_STATUS");
  EXPECT_EQ(msr_text(0xdead), "0xdead");
}

TEST(X86Property, AnyValueHasAText) {
  std::mt19937_64 random(2);
  for (int i = 0; i < 100000; ++i) {
    const uint64_t value = random();
    const auto low = static_cast<uint32_t>(value);
    ASSERT_FALSE(vmx_exit_reason_text(low).empty());
    ASSERT_FALSE(vmx_fail_entry_text(value).empty());
    ASSERT_FALSE(vmx_event_info_text(low).empty());
    ASSERT_FALSE(svm_exit_code_text(value).empty());
    ASSERT_FALSE(debug_exception_text(value, random()).empty());
    ASSERT_FALSE(dr7_text(value).empty());
    ASSERT_FALSE(eflags_text(value).empty());
    ASSERT_FALSE(cr4_text(value).empty());
    ASSERT_FALSE(msr_text(low).empty());
  }
}

}  // namespace
}  // namespace kvmtape
