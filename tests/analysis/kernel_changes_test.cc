#include "analysis/kernel_changes.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <set>
#include <string>

#include "tests/support/kvm_run_page.h"

namespace kvmtape {
namespace {

using testing::context_of;

constexpr uint32_t kDebug = 4, kMmio = 6, kInternalError = 17, kSystemEvent = 24;
constexpr uint64_t kOslsr = 0x603000000013808c;

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

TEST(KernelChanges, AFieldPrefixCoversTheFieldsBelowIt) {
  EXPECT_EQ(explained(x86("5.10"), x86("5.15"),
                      ChangePlace::at_field(kInternalError, "emulation_failure.insn_bytes")),
            "x86-emulation-bytes");
  EXPECT_EQ(
      explained(x86("6.12"), x86("6.18"), ChangePlace::at_field(kInternalError, "internal.ndata")),
      "x86-delivery-event");
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
