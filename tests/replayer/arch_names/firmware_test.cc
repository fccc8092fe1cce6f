#include <gtest/gtest.h>

#include <array>
#include <random>

#include "replayer/arch_names/confidential.h"
#include "replayer/arch_names/hypercalls.h"
#include "replayer/arch_names/papr.h"
#include "replayer/arch_names/psci.h"
#include "replayer/arch_names/sbi.h"
#include "replayer/arch_names/system_event.h"

namespace kvmtape {
namespace {

TEST(Smccc, NamesPsciInBothWidths) {
  EXPECT_EQ(smccc_text(0x84000008), "PSCI_SYSTEM_OFF (32-bit)");
  EXPECT_EQ(smccc_text(0xc4000003), "PSCI_CPU_ON (64-bit)");
  EXPECT_EQ(smccc_text(0x84000000), "PSCI_VERSION (32-bit)");
  EXPECT_EQ(decode_smccc(0xc4000012).name, "PSCI_SYSTEM_RESET2");
  EXPECT_EQ(decode_smccc(0x84000015).name, "PSCI_SYSTEM_OFF2");
  // PSCI_VERSION has no 64-bit form.
  EXPECT_EQ(decode_smccc(0xc4000000).name, "");
}

TEST(Smccc, NamesOtherServicesAndOwners) {
  EXPECT_EQ(decode_smccc(0x80000000).name, "SMCCC_VERSION");
  EXPECT_EQ(decode_smccc(0x80008000).name, "SMCCC_ARCH_WORKAROUND_1");
  EXPECT_EQ(decode_smccc(0x86000001).name, "VENDOR_HYP_KVM_PTP");
  EXPECT_EQ(decode_smccc(0xc5000020).name, "PV_TIME_FEATURES");
  EXPECT_EQ(decode_smccc(0x84000050).name, "TRNG_VERSION");
  EXPECT_EQ(smccc_text(0x32000001), "yielding call 0x1 of trusted OS, 32-bit");
  EXPECT_EQ(smccc_text(0xc600ff00), "fast call 0xff00 of vendor hypervisor service, 64-bit");
  EXPECT_EQ(smccc_text(0x8a000000), "fast call 0x0 of a reserved owner, 32-bit");
}

TEST(Smccc, SeesThroughTheSveHint) {
  EXPECT_EQ(decode_smccc(0x84010008).name, "PSCI_SYSTEM_OFF");
  // KVM's numbers of PSCI 0.1 have that bit set by themselves.
  EXPECT_EQ(decode_smccc(0x95c1ba60).name, "PSCI_0_1_CPU_ON");
}

TEST(Smccc, NamesPsciReturns) {
  EXPECT_EQ(psci_return_name(0), "PSCI_RET_SUCCESS");
  EXPECT_EQ(psci_return_name(-3), "PSCI_RET_DENIED");
  EXPECT_EQ(psci_return_name(-9), "PSCI_RET_INVALID_ADDRESS");
  EXPECT_EQ(psci_return_name(-10), "");
  EXPECT_EQ(psci_return_name(1), "");
  EXPECT_EQ(psci_return_name(INT32_MIN), "");
}

TEST(Sbi, NamesExtensionsAndFunctions) {
  EXPECT_EQ(sbi_text(0x53525354, 0), "SBI SRST SYSTEM_RESET");
  EXPECT_EQ(sbi_text(0x10, 3), "SBI BASE PROBE_EXT");
  EXPECT_EQ(sbi_text(0x1, 99), "SBI 0.1 CONSOLE_PUTCHAR");
  EXPECT_EQ(sbi_text(0x4442434e, 7), "SBI DBCN function 0x7");
  EXPECT_EQ(sbi_text(0x09000001, 2), "SBI vendor extension 0x9000001 function 0x2");
  EXPECT_EQ(sbi_text(0x08000001, 2), "SBI experimental extension 0x8000001 function 0x2");
  EXPECT_EQ(sbi_text(0x12345, 0), "SBI 0x12345 function 0x0");
  EXPECT_EQ(sbi_function_name(0x10, ~uint64_t{0}), "");
}

TEST(Sbi, NamesErrorsAndResets) {
  EXPECT_EQ(sbi_error_name(-4), "SBI_ERR_DENIED");
  EXPECT_EQ(sbi_error_name(-14), "SBI_ERR_DENIED_LOCKED");
  EXPECT_EQ(sbi_error_name(-15), "");
  EXPECT_EQ(sbi_error_name(INT64_MIN), "");
  EXPECT_EQ(sbi_reset_type_name(2), "warm reboot");
  EXPECT_EQ(sbi_reset_reason_name(1), "system failure");
}

TEST(Papr, NamesCallsAndReturns) {
  EXPECT_EQ(papr_hcall_name(0x58), "H_PUT_TERM_CHAR");
  EXPECT_EQ(papr_hcall_name(0xf000), "H_RTAS");
  EXPECT_EQ(papr_hcall_name(0xe0), "H_CEDE");
  EXPECT_EQ(papr_hcall_name(0x5), "");
  EXPECT_EQ(papr_return_name(static_cast<uint64_t>(-4)), "H_PARAMETER");
  EXPECT_EQ(papr_return_name(9901), "H_LONG_BUSY_ORDER_10_MSEC");
  EXPECT_EQ(papr_return_name(static_cast<uint64_t>(-1000)), "");
}

TEST(Hypercalls, HaveTheKernelsNames) {
  EXPECT_EQ(kvm_hypercall_name(12), "KVM_HC_MAP_GPA_RANGE");
  EXPECT_EQ(kvm_hypercall_name(13), "");
  EXPECT_EQ(hyperv_exit_type_name(3), "KVM_EXIT_HYPERV_SYNDBG");
  // The high bits of a Hyper-V input carry flags and counts, not the call.
  EXPECT_EQ(hyperv_call_name(0x000100010001005c), "HVCALL_POST_MESSAGE");
  EXPECT_EQ(xen_exit_type_name(1), "KVM_EXIT_XEN_HCALL");
  EXPECT_EQ(xen_hypercall_name(29), "__HYPERVISOR_sched_op");
  EXPECT_EQ(iocsr_name(0x1040), "LOONGARCH_IOCSR_IPI_SEND");
}

TEST(GhcbTermination, NamesLinuxReasons) {
  EXPECT_EQ(ghcb_termination_text(0x100 | 1 << 12 | 3 << 16),
            "guest requested termination: Linux, guest is not at VMPL 0 (reason set 1, code 3)");
  EXPECT_EQ(ghcb_termination_text(0x100 | 1 << 16),
            "guest requested termination: general, the SEV-ES protocol version is not supported "
            "(reason set 0, code 1)");
  EXPECT_EQ(ghcb_termination_text(0x100 | 5 << 12 | 0xff << 16),
            "guest requested termination: reason set 5, code 255");
}

// SVM_VMGEXIT_TERM_REQUEST: the MSR holds the page's address, and the reason is in the page.
TEST(GhcbTermination, ThroughTheGhcbPageHasItsReasonElsewhere) {
  EXPECT_TRUE(decode_ghcb_termination(0x7f000).through_page);
  EXPECT_FALSE(decode_ghcb_termination(0x7f000).is_request);
  EXPECT_EQ(ghcb_termination_text(0x7f000),
            "guest requested termination through its GHCB page at 0x7f000; the reason is in the "
            "host's kernel log");
}

TEST(GhcbTermination, RefusesOtherRequests) {
  EXPECT_FALSE(decode_ghcb_termination(0x12345006).is_request);
  EXPECT_EQ(ghcb_termination_text(0x5006), "GHCB MSR 0x5006 is not a termination request");
  EXPECT_EQ(ghcb_termination_text(0), "GHCB MSR 0x0 is not a termination request");
  EXPECT_EQ(ghcb_msr_request_name(0x12345006), "GHCB_MSR_AP_RESET_HOLD_REQ");
}

std::array<uint64_t, 16> tdx_registers() {
  std::array<uint64_t, 16> data{};
  data[1] = 1u << 14 | 1u << 15;  // rcx: r14 and r15 carry text
  data[14] = 0x746f6f7220656874;  // "the root"
  data[15] = 0x65676170;          // "page"
  data[3] = 0x4141414141414141;   // rbx: not named by the mask
  return data;
}

TEST(TdxFatal, ReadsTheMessageFromTheRegistersTheMaskNames) {
  EXPECT_EQ(tdx_fatal_text(tdx_registers()), "TDX guest reported fatal error 0x0: the rootpage");
}

TEST(TdxFatal, ReadsCodesAndAddress) {
  auto data = tdx_registers();
  data[1] = 0;
  data[12] = uint64_t{1} << 63 | 0x0baaaaadull << 32;
  data[13] = 0x7000;
  const TdxFatalError error = decode_tdx_fatal(data);
  EXPECT_EQ(error.code, 0u);
  EXPECT_EQ(error.extended_code, 0x0baaaaadu);
  EXPECT_EQ(error.address, 0x7000u);
  EXPECT_EQ(error.message, "");
}

TEST(TdxFatal, SaysSoWhenRegistersAreMissing) {
  const auto data = tdx_registers();
  EXPECT_FALSE(decode_tdx_fatal(std::span(data).first(15)).known);
  EXPECT_EQ(tdx_fatal_text({}), "TDX guest reported a fatal error; its registers are not known");
}

TEST(SystemEvent, ReadsDataByArchitecture) {
  const uint64_t one[] = {1};
  EXPECT_EQ(system_event_text(Architecture::kAarch64, 2, one), "reset (PSCI SYSTEM_RESET2)");
  EXPECT_EQ(system_event_text(Architecture::kAarch64, 1, one), "shutdown (PSCI SYSTEM_OFF2)");
  EXPECT_EQ(system_event_text(Architecture::kRiscv64, 1, one),
            "shutdown, SRST reason: system failure");
  EXPECT_EQ(system_event_text(Architecture::kX86_64, 2, one), "reset");
  EXPECT_EQ(system_event_text(Architecture::kAarch64, 2, {}), "reset");
  EXPECT_EQ(system_event_text(Architecture::kX86_64, 3, {}), "crash");
  EXPECT_EQ(system_event_text(Architecture::kX86_64, 99, {}), "system event 0x63");
  const uint64_t termination[] = {0x100};
  EXPECT_EQ(system_event_text(Architecture::kX86_64, 6, termination),
            "guest requested termination: general, termination request (reason set 0, code 0)");
  EXPECT_EQ(system_event_text(Architecture::kX86_64, 6, {}), "SEV termination");
}

TEST(FirmwareProperty, AnyValueHasAText) {
  std::mt19937_64 random(3);
  for (int i = 0; i < 100000; ++i) {
    const uint64_t value = random();
    ASSERT_FALSE(smccc_text(static_cast<uint32_t>(value)).empty());
    ASSERT_FALSE(sbi_text(value, random()).empty());
    ASSERT_FALSE(ghcb_termination_text(value).empty());
    std::array<uint64_t, 16> data;
    for (uint64_t& word : data) word = random();
    const std::string text = tdx_fatal_text(data);
    for (char c : text) ASSERT_TRUE(c >= ' ' && c <= '~');
    ASSERT_FALSE(
        system_event_text(Architecture::kAarch64, static_cast<uint32_t>(value % 9), data).empty());
  }
}

}  // namespace
}  // namespace kvmtape
