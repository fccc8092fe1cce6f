#include "analysis/kernel_changes.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <set>
#include <string>

#include "tests/support/arm64_registers.h"
#include "tests/support/kvm_run_page.h"

namespace kvmtape {
namespace {

using testing::context_of;
using testing::kOslsr;
using testing::KvmRunPage;

constexpr uint32_t kDebug = 4, kMmio = 6, kInternalError = 17, kSystemEvent = 24;

DecodeContext arm64(std::string_view kernel) { return context_of(Architecture::kAarch64, kernel); }
DecodeContext x86(std::string_view kernel) { return context_of(Architecture::kX86_64, kernel); }

// "arm64-hsr-high arm64-reset2?": the ids, with a question mark where it is not certain.
std::string explained(const DecodeContext& a, const DecodeContext& b, const ChangePlace& seen) {
  std::string ids;
  for (const auto& difference : KernelDifferences(a, b).explaining(seen)) {
    if (!ids.empty()) ids += ' ';
    ids += difference.change->id;
    if (!difference.certain()) ids += '?';
  }
  return ids;
}

TEST(KernelChanges, AFieldThatCameBetweenTheKernelsIsExplainedInEitherDirection) {
  const auto seen = ChangePlace::at_field(kDebug, "debug.arch.hsr_high");
  EXPECT_EQ(explained(arm64("5.10"), arm64("6.1"), seen), "arm64-hsr-high");
  EXPECT_EQ(explained(arm64("6.1"), arm64("5.10"), seen), "arm64-hsr-high");
  EXPECT_EQ(explained(arm64("6.1"), arm64("6.12"), seen), "");
  EXPECT_EQ(explained(arm64("5.10"), arm64("5.18"), seen), "");
  EXPECT_EQ(explained(x86("5.10"), x86("6.1"), seen), "");
}

TEST(KernelChanges, ThisExitsOwnChangeStandsBeforeThatOfEveryExit) {
  EXPECT_EQ(explained(arm64("5.10"), arm64("6.1"), ChangePlace::at_field(kDebug, "flags")),
            "arm64-hsr-high arm64-flags-cleared");
  EXPECT_EQ(explained(arm64("5.10"), arm64("6.1"), ChangePlace::at_field(kMmio, "flags")),
            "arm64-flags-cleared");
}

TEST(KernelChanges, ACapabilityThatWasRecordedDecidesBeforeTheRelease) {
  const auto seen = ChangePlace::at_field(kSystemEvent, "system_event.ndata");
  DecodeContext backported = arm64("5.15");
  backported.capabilities[215] = 1;
  EXPECT_EQ(explained(arm64("5.10"), backported, seen), "system-event-ndata");
  EXPECT_EQ(explained(backported, arm64("6.1"), seen), "");
}

TEST(KernelChanges, AStableReleaseThatTookTheFixBehavesAsNewOnes) {
  const auto seen = ChangePlace::at_field(kDebug, "debug.arch.far");
  EXPECT_EQ(explained(arm64("5.10.218"), arm64("6.1.192"), seen), "arm64-watchpoint-far");
  EXPECT_EQ(explained(arm64("6.1.32"), arm64("6.1.33"), seen), "arm64-watchpoint-far");
  EXPECT_EQ(explained(arm64("6.1.33"), arm64("6.12"), seen), "");
  EXPECT_EQ(explained(arm64("6.1"), arm64("6.12"), seen), "arm64-watchpoint-far?");
}

TEST(KernelChanges, WhatWasMendedAgainExplainsOnlyAgainstTheKernelsBetween) {
  const auto seen = ChangePlace::at_register(0x603000000013c290);  // ESR_EL1
  EXPECT_EQ(explained(arm64("5.10"), arm64("6.1"), seen), "arm64-esr-sign");
  EXPECT_EQ(explained(arm64("6.1"), arm64("6.12"), seen), "arm64-esr-sign");
  EXPECT_EQ(explained(arm64("5.10"), arm64("6.12"), seen), "");
}

TEST(KernelChanges, RegistersAndExitsThemselvesArePlaces) {
  EXPECT_EQ(explained(arm64("5.10"), arm64("5.18"), ChangePlace::at_register(kOslsr)),
            "arm64-os-lock arm64-oslsr-register");
  EXPECT_EQ(explained(arm64("6.12"), arm64("6.16"), ChangePlace::at_exit(kSystemEvent)),
            "arm64-system-off2");
  EXPECT_EQ(explained(arm64("6.12"), arm64("6.16"), ChangePlace::at_register(kOslsr)), "");
}

// What explains an exit that only one of two recordings has.
std::string explained_alone(const DecodeContext& a, const DecodeContext& b, const KvmRunPage& page,
                            bool in_a) {
  const Exit exit = page.decoded();
  std::string ids;
  for (const auto& difference : KernelDifferences(a, b).explaining(
           ChangePlace::at_exit(exit.reason), {in_a ? &exit : nullptr, in_a ? nullptr : &exit}))
    ids += std::string(ids.empty() ? "" : " ") + std::string(difference.change->id);
  return ids;
}

KvmRunPage system_event(std::string_view kernel, uint32_t type, uint64_t data) {
  KvmRunPage page(arm64(kernel));
  page.reason(kSystemEvent).ret(0).in_union(0, type).in_union(4, uint32_t{1}).in_union(8, data);
  return page;
}

TEST(KernelChanges, AnExitIsExplainedWhereItIsWhatTheChangeIsAbout) {
  const DecodeContext old = arm64("5.10"), now = arm64("6.1");
  constexpr uint32_t kShutdown = 1, kReset = 2, kSuspend = 5;
  EXPECT_EQ(explained_alone(old, now, system_event("6.1", kReset, 1), false), "arm64-reset2");
  EXPECT_EQ(explained_alone(old, now, system_event("6.1", kReset, 0), false), "");
  EXPECT_EQ(explained_alone(old, now, system_event("6.1", kShutdown, 0), false), "");
  EXPECT_EQ(explained_alone(old, now, system_event("6.1", kSuspend, 0), false),
            "arm64-system-suspend");
}

TEST(KernelChanges, AnExitIsExplainedOnlyOnTheSideOfTheKernelThatHasIt) {
  const DecodeContext old = arm64("5.10"), now = arm64("6.1");
  EXPECT_EQ(explained_alone(now, old, system_event("6.1", 2, 1), true), "arm64-reset2");
  EXPECT_EQ(explained_alone(now, old, system_event("6.1", 2, 1), false), "");
}

TEST(KernelChanges, ADebugExitIsExplainedByItsSyndrome) {
  const auto debug = [](uint32_t ec) {
    KvmRunPage page(arm64("6.1"));
    page.reason(kDebug).ret(0).flags(1).in_union(0, ec << 26 | 0x22).in_union(4, uint32_t{0});
    return page;
  };
  const DecodeContext old = arm64("5.10"), now = arm64("6.1");
  constexpr uint32_t kStep = 0x32, kBrk = 0x3c, kWatchpoint = 0x34;
  EXPECT_EQ(explained_alone(old, now, debug(kStep), false), "arm64-step-over-emulated");
  EXPECT_EQ(explained_alone(old, now, debug(kStep), true), "") << "the later kernel lost it";
  EXPECT_EQ(explained_alone(old, now, debug(kWatchpoint), true), "");
  EXPECT_EQ(explained_alone(old, now, debug(kWatchpoint), false), "");
  EXPECT_EQ(explained_alone(old, now, debug(kBrk), false), "");
  EXPECT_EQ(explained_alone(old, now, debug(kBrk), true), "");
}

TEST(KernelChanges, DataIsExplainedBySignExtensionAndByNothingElse) {
  const Exit exit = system_event("6.1", 1, 0).decoded();
  const auto at_data = [&](bool by_sign) {
    return KernelDifferences(arm64("6.12"), arm64("7.2"))
        .explaining(ChangePlace::at_field(kMmio, "mmio.data"), {&exit, &exit, by_sign})
        .size();
  };
  EXPECT_EQ(at_data(true), 1u);
  EXPECT_EQ(at_data(false), 0u);
  EXPECT_TRUE(differs_by_sign(0x9281, 0xffffffffffff9281, 8));
  EXPECT_TRUE(differs_by_sign(0xffffffff96000010, 0x96000010, 8));
  EXPECT_TRUE(differs_by_sign(0x81, 0xff81, 2));
  EXPECT_FALSE(differs_by_sign(0x1281, 0xffffffffffff1281, 8)) << "the sign bit is not set";
  EXPECT_FALSE(differs_by_sign(0x9281, 0xffff9281, 8)) << "not up to the top";
  EXPECT_FALSE(differs_by_sign(0x9281, 0x9282, 8));
  EXPECT_FALSE(differs_by_sign(0x81, 0x81, 1));
}

TEST(KernelChanges, WhatAGuestSeesIsNamed) {
  std::set<std::string_view> ids;
  for (const auto& difference : KernelDifferences(arm64("5.10"), arm64("6.1")).seen_by_guest())
    ids.insert(difference.change->id);
  EXPECT_TRUE(ids.contains("arm64-os-lock"));
  EXPECT_TRUE(ids.contains("arm64-debugver-v8p0"));
  EXPECT_FALSE(ids.contains("arm64-hsr-high"));
}

TEST(KernelChanges, AFieldPrefixCoversTheFieldsBelowIt) {
  EXPECT_EQ(explained(x86("5.10"), x86("5.15"),
                      ChangePlace::at_field(kInternalError, "emulation_failure.insn_bytes")),
            "x86-emulation-bytes");
  EXPECT_EQ(
      explained(x86("6.12"), x86("6.18"), ChangePlace::at_field(kInternalError, "internal.ndata")),
      "x86-delivery-event");
}

// What such a guest writes: tests/analysis/diff/probe_guest_test.cc.
TEST(KernelChanges, AMarkNamesTheGuestOfTheProbe) {
  EXPECT_EQ(guest_of_mark("probe os_lock: as expected"), "os_lock");
  EXPECT_EQ(guest_of_mark("probed os_lock: as expected"), "");
  EXPECT_EQ(guest_of_mark("probe os_lock"), "");
}

TEST(KernelChanges, OneKernelOrTwoArchitecturesHaveNoDifferences) {
  EXPECT_TRUE(KernelDifferences(arm64("6.1"), arm64("6.1")).all().empty());
  EXPECT_TRUE(KernelDifferences(arm64("5.10"), x86("6.1")).all().empty());
  EXPECT_EQ(explained(arm64("unknown"), arm64("6.12"), ChangePlace::at_register(kOslsr)),
            "arm64-os-lock? arm64-oslsr-register?");
}

TEST(KernelChanges, EveryRowSaysWhatWhereAndWhence) {
  std::set<std::string_view> ids;
  for (const KernelChange& change : kernel_changes()) {
    EXPECT_TRUE(ids.insert(change.id).second) << change.id;
    EXPECT_FALSE(change.what.empty() || change.source.empty() || change.shows.empty()) << change.id;
    EXPECT_TRUE(!change.commit.empty() || !change.doubt.empty()) << change.id;
    EXPECT_TRUE(change.since != 0 || change.until != 0) << change.id;
    EXPECT_TRUE(change.until == 0 || change.since <= change.until) << change.id;
    EXPECT_FALSE(places_of(change).empty()) << change.id;
  }
}

TEST(KernelChanges, FieldsAreThoseOfTheAbiTables) {
  std::set<std::string_view> known = {"", "flags", "exit_reason"};
  for (const abi::MemberField& row : abi::member_fields()) known.insert(row.field.name);
  for (const KernelChange& change : kernel_changes())
    for (const ChangePlace& place : places_of(change))
      EXPECT_TRUE(place.field.ends_with('.') || known.contains(place.field))
          << change.id << " " << place.field;
}

TEST(KernelChanges, WritingTheRowsAndTheDocumentAgainChangesNothing) {
  EXPECT_EQ(std::system("python3 " KVMTAPE_SOURCE_DIR "/analysis/kernel_changes.py --check"), 0);
}

}  // namespace
}  // namespace kvmtape
