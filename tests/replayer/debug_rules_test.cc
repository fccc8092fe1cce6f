#include <gtest/gtest.h>

#include "tests/support/kvm_run_page.h"

namespace kvmtape {
namespace {

using testing::context_of;
using testing::KvmRunPage;
using testing::shown;

constexpr uint32_t kDebug = 4;
constexpr uint32_t kBrk = 0xf2001234;
constexpr uint32_t kWatchpoint = 0xd2000022;

KvmRunPage arm64_debug(std::string_view kernel, uint16_t flags, uint32_t hsr,
                       ByteOrder order = ByteOrder::kLittle) {
  KvmRunPage page(context_of(Architecture::kAarch64, kernel, order));
  page.reason(kDebug).flags(flags).in_union(0, hsr).in_union(4, uint32_t{0x12});
  page.in_union(8, uint64_t{0x4000099c});
  return page;
}

TEST(Arm64Debug, HsrHighIsValidWithItsFlagAndJoinsTheEsr) {
  for (ByteOrder order : {ByteOrder::kLittle, ByteOrder::kBig}) {
    const Exit exit = arm64_debug("5.19", 1, kBrk, order).decoded();
    EXPECT_EQ(shown(exit, "debug.arch.hsr_high"), "valid 0x12");
    EXPECT_TRUE(exit.esr_has_high);
    EXPECT_EQ(exit.esr, 0x12f2001234u);
    ASSERT_EQ(exit.flag_name_count, 1);
    EXPECT_EQ(exit.flag_names[0], "KVM_DEBUG_ARCH_HSR_HIGH_VALID");
  }
}

TEST(Arm64Debug, AKernelOfTheElKindMayHaveHsrHighBefore519) {
  const std::string_view el9 = "5.14.0-427.13.1.el9_4.aarch64";
  EXPECT_EQ(shown(arm64_debug(el9, 1, kBrk).decoded(), "debug.arch.hsr_high"), "valid 0x12");
  EXPECT_EQ(shown(arm64_debug(el9, 0, kBrk).decoded(), "debug.arch.hsr_high"), "stale");
}

TEST(Arm64Debug, HsrHighWithoutItsFlagIsStaleOrAbsentAndNeverJoined) {
  EXPECT_EQ(shown(arm64_debug("6.1", 0, kBrk).decoded(), "debug.arch.hsr_high"), "stale");
  EXPECT_EQ(shown(arm64_debug("5.18", 0, kBrk).decoded(), "debug.arch.hsr_high"), "absent");
  EXPECT_EQ(shown(arm64_debug("unknown", 0, kBrk).decoded(), "debug.arch.hsr_high"), "stale");
  const Exit exit = arm64_debug("6.1", 0, kBrk).decoded();
  EXPECT_TRUE(exit.has_esr);
  EXPECT_FALSE(exit.esr_has_high);
  EXPECT_EQ(exit.esr, kBrk);
}

TEST(Arm64Debug, HsrHighFlaggedByAnOlderKernelIsUnknown) {
  const Exit exit = arm64_debug("5.10.218", 1, kBrk).decoded();
  EXPECT_EQ(shown(exit, "debug.arch.hsr_high"), "unknown");
  EXPECT_NE(exit.find("debug.arch.hsr_high")->why.find("backport"), std::string_view::npos);
  EXPECT_EQ(exit.esr, kBrk);
}

TEST(Arm64Debug, AnUnknownKernelIsBelievedWhenItSetsThatFlagAlone) {
  EXPECT_EQ(shown(arm64_debug("unknown", 1, kBrk).decoded(), "debug.arch.hsr_high"), "valid 0x12");
  EXPECT_EQ(shown(arm64_debug("unknown", 0xabab, kBrk).decoded(), "debug.arch.hsr_high"),
            "unknown");
}

TEST(Arm64Debug, HsrHighIsNotBelievedUnderFlagsThatAreNot) {
  for (const uint16_t flags : {uint16_t{3}, uint16_t{0xaaaa}}) {
    const Exit exit = arm64_debug("6.1", flags, kBrk).decoded();
    EXPECT_EQ(exit.flags_validity, Validity::kUnknown);
    EXPECT_EQ(exit.flags_why, "bits that no kernel up to 7.3 sets");
    EXPECT_EQ(exit.flag_name_count, 0);
    EXPECT_EQ(shown(exit, "debug.arch.hsr_high"), "unknown");
    EXPECT_EQ(exit.find("debug.arch.hsr_high")->why,
              "kvm_run.flags has bits that no kernel up to 7.3 sets");
    EXPECT_FALSE(exit.esr_has_high);
  }
  EXPECT_EQ(shown(arm64_debug("8.0", 3, kBrk).decoded(), "debug.arch.hsr_high"), "unknown");
}

TEST(Arm64Debug, FarIsForWatchpointsAndOnlyOfKernelsThatGetItRight) {
  auto far = [](DecodeContext context) {
    KvmRunPage page(std::move(context));
    page.reason(kDebug).flags(1).in_union(0, kWatchpoint).in_union(8, uint64_t{0x1000});
    return shown(page.decoded(), "debug.arch.far");
  };
  EXPECT_EQ(far(context_of(Architecture::kAarch64, "6.4")), "valid 0x1000");
  EXPECT_EQ(far(context_of(Architecture::kAarch64, "6.3.7")), "valid 0x1000");
  EXPECT_EQ(far(context_of(Architecture::kAarch64, "6.3.6")), "unknown");
  EXPECT_EQ(far(context_of(Architecture::kAarch64, "6.1.33")), "valid 0x1000");
  EXPECT_EQ(far(context_of(Architecture::kAarch64, "6.1.32")), "unknown");
  EXPECT_EQ(far(context_of(Architecture::kAarch64, "6.2.99")), "unknown");
  EXPECT_EQ(far(context_of(Architecture::kAarch64, "5.10.218")), "unknown");
  EXPECT_EQ(far(context_of(Architecture::kAarch64, "unknown")), "unknown");
  DecodeContext debian = context_of(Architecture::kAarch64, "6.1.0-49-arm64");
  EXPECT_EQ(far(debian), "unknown");
  debian.kernel_version_text = "#1 SMP Debian 6.1.192-2 (2026-05-01)";
  EXPECT_EQ(far(debian), "valid 0x1000");
  EXPECT_EQ(shown(arm64_debug("6.4", 1, kBrk).decoded(), "debug.arch.far"), "stale");
}

TEST(Arm64Debug, AWatchpointThatSaysFarNotValidHasNoAddress) {
  constexpr uint32_t kFnV = 1 << 10, kFnP = 1 << 15;
  KvmRunPage page = arm64_debug("6.4", 1, kWatchpoint | kFnV);
  EXPECT_EQ(shown(page.decoded(), "debug.arch.far"), "stale");
  EXPECT_EQ(page.decoded().find("debug.arch.far")->why, "hsr.FnV is set: there is no address");
  EXPECT_EQ(page.text(), "watchpoint from a lower EL, read at ?");
  page = arm64_debug("6.4", 1, kWatchpoint | kFnP);
  EXPECT_EQ(shown(page.decoded(), "debug.arch.far"), "valid 0x4000099c");
  EXPECT_EQ(page.text(), "watchpoint from a lower EL, read, address not precise at 0x4000099c");
}

KvmRunPage x86_debug(uint32_t exception) {
  KvmRunPage page(context_of(Architecture::kX86_64, "6.1.192"));
  page.reason(kDebug).flags(0).in_union(0, exception).in_union(8, uint64_t{0x1000});
  return page;
}

TEST(X86Debug, BreakpointLeavesDr6AndDr7Stale) {
  const Exit exit = x86_debug(3).decoded();
  EXPECT_EQ(shown(exit, "debug.arch.pc"), "valid 0x1000");
  EXPECT_EQ(shown(exit, "debug.arch.dr6"), "stale");
  EXPECT_EQ(shown(exit, "debug.arch.dr7"), "stale");
}

TEST(X86Debug, Before57OnlyVmxSurelyWritesDr6AndDr7ForADebugException) {
  const auto dr6 = [](X86Virtualization host) {
    DecodeContext context = context_of(Architecture::kX86_64, "5.6");
    context.x86_virtualization = host;
    KvmRunPage page(context);
    page.reason(kDebug).in_union(0, uint32_t{1}).in_union(16, uint64_t{0xffff4ff0});
    return shown(page.in_union(24, uint64_t{0x600}).decoded(), "debug.arch.dr6");
  };
  EXPECT_EQ(dr6(X86Virtualization::kVmx), "valid 0xffff4ff0");
  EXPECT_EQ(dr6(X86Virtualization::kSvm), "unknown");  // a stable release may
  EXPECT_EQ(dr6(X86Virtualization::kUnknown), "unknown");
}

TEST(X86Debug, DebugExceptionHasBothUnlessKvmEmulatedTheStep) {
  KvmRunPage page = x86_debug(1);
  page.in_union(16, uint64_t{0xffff4ff0});
  EXPECT_EQ(shown(page.decoded(), "debug.arch.dr6"), "valid 0xffff4ff0");
  EXPECT_EQ(shown(page.decoded(), "debug.arch.dr7"), "stale");
  page.in_union(24, uint64_t{0x400});
  EXPECT_EQ(shown(page.decoded(), "debug.arch.dr7"), "valid 0x400");
}

// vmx.c stores the exit qualification, whose bit 16 is not inverted, with DR6_FIXED_1.
TEST(X86Debug, Bit16OfDr6SaysNothingOnVmxBefore57) {
  const auto text = [](std::string_view kernel, X86Virtualization host, uint64_t dr6) {
    DecodeContext context = context_of(Architecture::kX86_64, kernel);
    context.x86_virtualization = host;
    KvmRunPage page(context);
    page.reason(kDebug).in_union(0, uint32_t{1}).in_union(8, uint64_t{0x1000});
    return page.in_union(16, dr6).in_union(24, uint64_t{0x402}).text();
  };
  EXPECT_EQ(text("4.19", X86Virtualization::kVmx, 0xfffe0ff1),
            "#DB at 0x1000: breakpoint 0 (execute)");
  EXPECT_EQ(text("unknown", X86Virtualization::kUnknown, 0xfffe0ff1),
            "#DB at 0x1000: breakpoint 0 (execute)");
  EXPECT_EQ(text("5.10", X86Virtualization::kVmx, 0xfffe0ff1),
            "#DB at 0x1000: breakpoint 0 (execute), in a transaction");
}

TEST(PpcDebug, WhatNoKernelWroteIsStaleAndTheRestOfStatusUnknown) {
  const auto page = [](uint64_t address, uint32_t status) {
    KvmRunPage ppc(context_of(Architecture::kPpc64, "6.12", ByteOrder::kBig));
    return ppc.reason(kDebug).in_union(0, address).in_union(8, status).decoded();
  };
  const Exit poison = page(0xaaaaaaaaaaaaaaaa, 0xaaaaaaaa);  // PR's single step writes neither
  EXPECT_EQ(shown(poison, "debug.arch.address"), "stale");
  EXPECT_EQ(shown(poison, "debug.arch.status"), "stale");
  const Exit stop = page(0x3000, 0);
  EXPECT_EQ(shown(stop, "debug.arch.address"), "valid 0x3000");
  EXPECT_EQ(shown(stop, "debug.arch.status"), "unknown");
  const Exit watchpoint = page(0x3001, 4);  // booke's, whose address is the data's
  EXPECT_EQ(shown(watchpoint, "debug.arch.address"), "unknown");
  EXPECT_EQ(shown(watchpoint, "debug.arch.status"), "unknown");
}

TEST(OtherDebug, EachArchitectureHasItsOwnPayloadOrNone) {
  KvmRunPage riscv(context_of(Architecture::kRiscv64, "6.12"));
  EXPECT_EQ(riscv.reason(kDebug).decoded().field_count, 1);  // immediate_exit
  KvmRunPage s390(context_of(Architecture::kS390x, "6.12", ByteOrder::kBig));
  s390.reason(kDebug).in_union(0, uint64_t{0x2000}).in_union(8, uint8_t{4});
  EXPECT_EQ(s390.decoded().find("debug.arch.type")->value_name, "KVM_SINGLESTEP");
  EXPECT_EQ(s390.decoded().find("debug.arch.addr")->offset, 48);
  KvmRunPage ppc(context_of(Architecture::kPpc64, "6.12", ByteOrder::kBig));
  ppc.reason(kDebug).in_union(0, uint64_t{0x3000});
  EXPECT_EQ(shown(ppc.decoded(), "debug.arch.address"), "valid 0x3000");
  EXPECT_EQ(shown(ppc.decoded(), "debug.arch.status"), "stale");
}

}  // namespace
}  // namespace kvmtape
