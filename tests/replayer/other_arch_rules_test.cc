// The rules of architectures that few have at hand, and what is said of an exit on one that never
// exits so.
#include <gtest/gtest.h>

#include <string>

#include "tests/support/kvm_run_page.h"

namespace kvmtape {
namespace {

using testing::context_of;
using testing::KvmRunPage;
using testing::shown;

KvmRunPage s390_page() {
  return KvmRunPage(context_of(Architecture::kS390x, "6.12", ByteOrder::kBig));
}

TEST(S390, ADebugExitHasOneOfThreeTypes) {
  for (const auto& [type, validity] : {std::pair{1, "valid 0x1"},
                                       {2, "valid 0x2"},
                                       {4, "valid 0x4"},
                                       {3, "unknown"},
                                       {0xaa, "unknown"}}) {
    KvmRunPage page = s390_page();
    page.reason(4).in_union(0, uint64_t{0x1000}).in_union(8, static_cast<uint8_t>(type));
    EXPECT_EQ(shown(page.decoded(), "debug.arch.type"), validity);
  }
}

TEST(S390, TschSaysZeroOrOneOfDequeuedAndOtherwiseNothing) {
  KvmRunPage page = s390_page();
  page.reason(22).in_union(16, uint8_t{7});
  for (const char* field : {"s390_tsch.dequeued", "s390_tsch.subchannel_id"})
    EXPECT_EQ(shown(page.decoded(), field), "unknown") << field;
  EXPECT_EQ(shown(page.in_union(16, uint8_t{1}).decoded(), "s390_tsch.dequeued"), "valid 0x1");
}

TEST(S390, ThePswOfAFailedRunIsLeftOverOnlyIfTheGuestDidNotRun) {
  const auto psw = [](int32_t ret, uint32_t reason, uint8_t immediate_exit) {
    KvmRunPage page = s390_page();
    page.reason(reason).at(1, immediate_exit).at(32, uint64_t{0x0705}).ret(ret);
    return shown(page.decoded(), "psw_mask");
  };
  constexpr int32_t kEintr = -4, kEfault = -14;
  EXPECT_EQ(psw(kEfault, 13, 0), "unknown");  // store_regs runs after errors of __vcpu_run too
  EXPECT_EQ(psw(kEintr, 13, 1), "stale");
  EXPECT_EQ(psw(kEintr, 10, 1), "unknown");
  EXPECT_EQ(psw(kEintr, 10, 0), "valid 0x705");
}

TEST(Loongarch, AHypercallIsWrittenWholeSince614) {
  const auto page = [](std::string_view kernel) {
    KvmRunPage written(context_of(Architecture::kLoongarch64, kernel));
    written.reason(3).in_union(0, uint64_t{1}).in_union(48, uint64_t{6});
    return written.in_union(56, ~uint64_t{0}).in_union(64, uint64_t{0});
  };
  const Exit exit = page("6.14").decoded();
  EXPECT_EQ(shown(exit, "hypercall.args", 5), "valid 0x6");
  EXPECT_EQ(shown(exit, "hypercall.flags"), "valid 0x0");
  EXPECT_EQ(shown(exit, "hypercall.ret"), "valid 0xffffffffffffffff");
  EXPECT_EQ(shown(page("6.12").decoded(), "hypercall.nr"), "unknown") << "nothing made it then";
}

TEST(Ppc, AnInternalErrorWritesATrapOrASuberrorAndNeverNdata) {
  for (const ByteOrder order : {ByteOrder::kLittle, ByteOrder::kBig}) {
    KvmRunPage page(context_of(Architecture::kPpc64, "6.12", order));
    const Exit exit = page.reason(17).in_union(0, uint32_t{1}).decoded();
    EXPECT_EQ(shown(exit, "internal.suberror"), "unknown");
    EXPECT_EQ(shown(exit, "internal.ndata"), "stale");
    EXPECT_EQ(shown(exit, "internal.data", 0), "stale");
  }
}

// What KVM wrote before the exit is valid, be it a default for an answer that the monitor may give.
TEST(Defaults, ThatKvmWroteForAnAnswerAreValid) {
  KvmRunPage csr(context_of(Architecture::kRiscv64, "6.1"));
  csr.reason(36).in_union(24, uint64_t{0});
  EXPECT_EQ(shown(csr.decoded(), "riscv_csr.ret_value"), "valid 0x0");
  KvmRunPage sbi(context_of(Architecture::kRiscv64, "6.1"));
  sbi.reason(35).in_union(64, ~uint64_t{1});
  EXPECT_EQ(shown(sbi.decoded(), "riscv_sbi.ret", 0), "valid 0xfffffffffffffffe");
  KvmRunPage tdx(context_of(Architecture::kX86_64, "6.16"));
  tdx.reason(40).in_union(8, uint64_t{0x10000}).in_union(16, uint64_t{0});
  tdx.in_union(32, uint64_t{0}).in_union(56, uint64_t{0});
  for (const char* name : {"ret", "r11", "r14"})
    EXPECT_EQ(shown(tdx.decoded(), "tdx.get_tdvmcall_info." + std::string(name)), "valid 0x0");
  tdx.in_union(8, uint64_t{0x10002}).in_union(16, uint64_t{3});
  EXPECT_EQ(shown(tdx.decoded(), "tdx.get_quote.ret"), "valid 0x3");
  EXPECT_EQ(shown(tdx.in_union(8, uint64_t{7}).decoded(), "tdx.unknown.ret"), "unknown");
  KvmRunPage certs(context_of(Architecture::kX86_64, "7.0"));
  certs.reason(43).in_union(16, uint64_t{0});
  EXPECT_EQ(shown(certs.decoded(), "snp_req_certs.ret"), "valid 0x0");
}

TEST(Defaults, OfX86HypercallsCameAfter612) {
  const auto ret = [](std::string_view kernel) {
    KvmRunPage page(context_of(Architecture::kX86_64, kernel));
    return page.reason(3).in_union(0, uint64_t{12}).in_union(56, uint64_t{0});
  };
  EXPECT_EQ(shown(ret("6.12.117").decoded(), "hypercall.ret"), "stale");
  EXPECT_EQ(shown(ret("6.13").decoded(), "hypercall.ret"), "unknown");
  EXPECT_EQ(shown(ret("6.14").decoded(), "hypercall.ret"), "valid 0x0");
  for (const char* kernel : {"6.12", "6.14", "unknown"})
    EXPECT_EQ(shown(ret(kernel).answer().decoded(), "hypercall.ret"), "valid 0x0") << kernel;
}

TEST(Defaults, AreNoDataOfARead) {
  KvmRunPage rdmsr(context_of(Architecture::kX86_64, "6.12"));
  rdmsr.reason(29).in_union(16, uint64_t{0});
  EXPECT_EQ(shown(rdmsr.decoded(), "msr.data"), "stale");
}

TEST(EmulationFailure, WordsThatAnOlderKernelCannotHaveWrittenAreUnknown) {
  const auto size_of_instruction = [](std::string_view kernel) {
    KvmRunPage page(context_of(Architecture::kX86_64, kernel));
    page.reason(17).in_union(0, uint32_t{1}).in_union(4, uint32_t{3}).in_union(8, uint64_t{1});
    page.in_union(16, uint8_t{2});
    return shown(page.decoded(), "emulation_failure.insn_size");
  };
  EXPECT_EQ(size_of_instruction("4.18.0"), "unknown");
  EXPECT_EQ(size_of_instruction("4.18.0-553.el8_10.x86_64"), "valid 0x2") << "takes later parts";
}

TEST(Riscv, AShutdownBefore518HasNoResetReason) {
  KvmRunPage page(context_of(Architecture::kRiscv64, "5.17"));
  page.reason(24).in_union(0, uint32_t{1}).in_union(4, uint32_t{0}).in_union(8, uint64_t{0});
  EXPECT_EQ(page.text(), "shutdown");
  KvmRunPage since(context_of(Architecture::kRiscv64, "5.18"));
  since.reason(24).in_union(0, uint32_t{1}).in_union(4, uint32_t{1}).in_union(8, uint64_t{0});
  EXPECT_EQ(since.text(), "shutdown, SRST reason: no reason");
}

TEST(OtherArchitectures, AnExitThatTheirKvmNeverMakesIsNamedAsSuch) {
  const auto text = [](Architecture architecture, uint32_t reason) {
    return KvmRunPage(context_of(architecture, "6.12")).reason(reason).text();
  };
  constexpr std::string_view kNever = "no known KVM of this architecture exits so";
  EXPECT_EQ(text(Architecture::kRiscv64, 2), kNever);  // IO
  for (const uint32_t reason : {9u, 24u})              // FAIL_ENTRY, SYSTEM_EVENT
    EXPECT_EQ(text(Architecture::kLoongarch64, reason), kNever) << reason;
  EXPECT_EQ(text(Architecture::kS390x, 6), kNever);  // MMIO
  EXPECT_TRUE(text(Architecture::kRiscv64, 9).starts_with("hardware_entry_failure_reason"));
  EXPECT_NE(text(Architecture::kUnknown, 2), kNever) << "who knows";
}

TEST(OtherArchitectures, FailEntryHasNoFieldsWhereNoKvmWritesThem) {
  for (const Architecture architecture : {Architecture::kLoongarch64, Architecture::kMips64})
    EXPECT_EQ(shown(KvmRunPage(context_of(architecture, "6.12")).reason(9).decoded(),
                    "fail_entry.hardware_entry_failure_reason"),
              "missing");
}

}  // namespace
}  // namespace kvmtape
