#include <gtest/gtest.h>

#include "tests/support/kvm_run_page.h"

namespace kvmtape {
namespace {

using testing::context_of;
using testing::KvmRunPage;

constexpr int32_t kEintr = -4, kEnoexec = -8, kEfault = -14, kEinval = -22, kEnosys = -38,
                  kEhwpoison = -133;
constexpr uint32_t kIo = 2, kIntr = 10, kMemoryFault = 39;

Validity reason_of(DecodeContext context, uint32_t reason, int32_t ret) {
  return KvmRunPage(std::move(context)).reason(reason).ret(ret).decoded().reason_validity;
}

TEST(RunFailure, OlderX86ShowsThePreviousExit) {
  EXPECT_EQ(reason_of(context_of(Architecture::kX86_64, "6.1.192"), kIo, kEfault),
            Validity::kStale);
  EXPECT_EQ(reason_of(context_of(Architecture::kX86_64, "6.7"), kIo, kEfault), Validity::kStale);
  EXPECT_EQ(reason_of(context_of(Architecture::kX86_64, "6.8"), 0, kEfault), Validity::kValid);
  EXPECT_EQ(reason_of(context_of(Architecture::kX86_64, "unknown"), kIo, kEfault),
            Validity::kUnknown);
}

TEST(RunFailure, TheCapabilityOfTheSameSeriesDecidesBeforeTheRelease) {
  DecodeContext backported = context_of(Architecture::kX86_64, "5.14.0-503.el9");
  backported.capabilities[232] = 1;
  EXPECT_EQ(reason_of(backported, 0, kEfault), Validity::kValid);
  EXPECT_EQ(reason_of(backported, kMemoryFault, kEfault), Validity::kValid);
}

TEST(RunFailure, EintrWithImmediateExitWritesNeitherReasonNorFlagsOnArm64) {
  KvmRunPage page(context_of(Architecture::kAarch64, "7.2.13"));
  const Exit exit = page.reason(6).at(1, uint8_t{1}).ret(kEintr).decoded();
  EXPECT_EQ(exit.reason_validity, Validity::kStale);
  EXPECT_EQ(exit.flags_validity, Validity::kStale);
  EXPECT_EQ(exit.find("mmio.phys_addr"), nullptr);
}

TEST(RunFailure, EnoexecOfAnArm64VcpuThatWasNotInitialisedWritesNeitherReasonNorFlags) {
  KvmRunPage page(context_of(Architecture::kAarch64, "7.2.13"));
  const Exit exit = page.reason(0xaaaaaaaa).ret(kEnoexec).decoded();
  EXPECT_EQ(exit.reason_validity, Validity::kStale);
  EXPECT_EQ(exit.flags_validity, Validity::kStale);
  EXPECT_EQ(reason_of(context_of(Architecture::kX86_64, "6.12"), 0, kEnoexec), Validity::kValid);
}

TEST(RunFailure, EintrWithoutImmediateExitIsTheIntrExit) {
  EXPECT_EQ(reason_of(context_of(Architecture::kX86_64, "6.1"), kIntr, kEintr), Validity::kValid);
  KvmRunPage both(context_of(Architecture::kX86_64, "6.1"));
  both.reason(kIntr).at(1, uint8_t{1}).ret(kEintr);
  EXPECT_EQ(both.decoded().reason_validity, Validity::kUnknown);
}

TEST(RunFailure, AnIntrExitThatReplacedAnotherReasonIsOfThisRun) {
  KvmRunPage page(context_of(Architecture::kAarch64, "7.2.13"));
  page.reason(kIntr).at(1, uint8_t{1}).flags(0).ret(kEintr).reason_is_new();
  EXPECT_EQ(page.decoded().reason_validity, Validity::kValid);
  EXPECT_EQ(page.decoded().flags_validity, Validity::kValid);
  EXPECT_EQ(page.reason(kIo).decoded().reason_validity, Validity::kStale);
}

TEST(RunFailure, WhatRedactionHasClearedIsNotTakenForAnImmediateExitOfZero) {
  DecodeContext redacted = context_of(Architecture::kX86_64, "6.1");
  redacted.redaction = RedactionProfile::kPayload;
  EXPECT_EQ(reason_of(redacted, kIntr, kEintr), Validity::kUnknown);
}

TEST(RunFailure, MemoryFaultIsReportedByFailing) {
  for (int32_t ret : {kEfault, kEhwpoison}) {
    KvmRunPage page(context_of(Architecture::kX86_64, "6.12"));
    page.reason(kMemoryFault).in_union(0, uint64_t{8}).ret(ret);
    const Exit exit = page.decoded();
    EXPECT_EQ(exit.reason_validity, Validity::kValid);
    EXPECT_EQ(exit.find("memory_fault.flags")->value_name, "KVM_MEMORY_EXIT_FLAG_PRIVATE");
  }
  EXPECT_EQ(reason_of(context_of(Architecture::kX86_64, "6.7"), kMemoryFault, kEfault),
            Validity::kStale);
}

TEST(RunFailure, KernelsThatResetReportUnknownAndOthersMayNot) {
  EXPECT_EQ(reason_of(context_of(Architecture::kAarch64, "5.10"), 0, kEnosys), Validity::kValid);
  EXPECT_EQ(reason_of(context_of(Architecture::kAarch64, "5.10"), 6, kEinval), Validity::kUnknown);
  EXPECT_EQ(reason_of(context_of(Architecture::kS390x, "6.12", ByteOrder::kBig), 13, kEinval),
            Validity::kStale);
  EXPECT_EQ(reason_of(context_of(Architecture::kPpc64, "6.12"), 17, kEinval), Validity::kUnknown);
}

TEST(RunFailure, FieldsOfAnUnknownReasonAreUnknownAndOfAStaleOneLeftOut) {
  KvmRunPage unknown(context_of(Architecture::kX86_64, "unknown"));
  const Exit exit = unknown.reason(kIo).ret(kEfault).decoded();
  EXPECT_EQ(testing::shown(exit, "io.port"), "unknown");
  KvmRunPage stale(context_of(Architecture::kX86_64, "6.1"));
  EXPECT_EQ(stale.reason(kIo).ret(kEfault).decoded().find("io.port"), nullptr);
}

TEST(RunFailure, ABarePageIsReadAsAfterSuccess) {
  DecodeContext context = context_of(Architecture::kX86_64, "6.1");
  std::vector<uint8_t> bytes(2352, 0);
  bytes[8] = 5;
  Exit exit;
  ExitDecoder(context).decode({.kvm_run = bytes, .data = {}, .ret_known = false}, exit);
  EXPECT_EQ(exit.name, "KVM_EXIT_HLT");
  EXPECT_EQ(exit.reason_validity, Validity::kValid);
}

}  // namespace
}  // namespace kvmtape
