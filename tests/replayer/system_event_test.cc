#include <gtest/gtest.h>

#include "tests/support/kvm_run_page.h"

namespace kvmtape {
namespace {

using testing::context_of;
using testing::KvmRunPage;
using testing::shown;

KvmRunPage event(DecodeContext context, uint32_t type, uint32_t ndata, uint64_t word) {
  KvmRunPage page(std::move(context));
  page.reason(24).in_union(0, type).in_union(4, ndata).in_union(8, word);
  return page;
}

TEST(SystemEvent, TheCapabilityChoosesTheLayoutBeforeTheRelease) {
  DecodeContext backported = context_of(Architecture::kAarch64, "5.15.100");
  backported.capabilities[215] = 1;
  EXPECT_EQ(shown(event(backported, 2, 1, 1).decoded(), "system_event.data", 0), "valid 0x1");
  DecodeContext without = context_of(Architecture::kAarch64, "6.1");
  without.capabilities[215] = 0;
  EXPECT_EQ(shown(event(without, 2, 0, 1).decoded(), "system_event.flags"), "valid 0x1");
}

TEST(SystemEvent, OnlyNdataWordsAreValid) {
  const Exit exit = event(context_of(Architecture::kX86_64, "6.12"), 6, 1, 0x100).decoded();
  EXPECT_EQ(exit.find("system_event.type")->value_name, "KVM_SYSTEM_EVENT_SEV_TERM");
  EXPECT_EQ(shown(exit, "system_event.data", 0), "valid 0x100");
  EXPECT_EQ(shown(exit, "system_event.data", 1), "stale");
  EXPECT_EQ(shown(exit, "system_event.data", 15), "stale");
}

TEST(SystemEvent, AllWordsOfATdxFatalReportAreValid) {
  KvmRunPage page = event(context_of(Architecture::kX86_64, "6.16"), 7, 16, 1);
  page.in_union(8 + 8 * 15, uint64_t{0x15});
  EXPECT_EQ(shown(page.decoded(), "system_event.data", 15), "valid 0x15");
}

TEST(SystemEvent, X86Before518WritesOnlyTheType) {
  const Exit exit = event(context_of(Architecture::kX86_64, "5.10"), 3, 0, 0).decoded();
  EXPECT_EQ(exit.find("system_event.type")->value_name, "KVM_SYSTEM_EVENT_CRASH");
  EXPECT_EQ(shown(exit, "system_event.flags"), "stale");
  EXPECT_EQ(shown(exit, "system_event.ndata"), "absent");
}

TEST(SystemEvent, FlagsLieAtFourOnI386) {
  const Exit exit = event(context_of(Architecture::kI386, "5.10"), 3, 0, 0).decoded();
  EXPECT_EQ(exit.find("system_event.flags")->offset, 36);
}

TEST(SystemEvent, AReset2OfArm64WithoutNdataIsBelieved) {
  const Exit exit = event(context_of(Architecture::kAarch64, "5.18"), 2, 0, 1).decoded();
  EXPECT_EQ(shown(exit, "system_event.data", 0), "valid 0x1");
  EXPECT_EQ(exit.find("system_event.data", 0)->value_name,
            "KVM_SYSTEM_EVENT_RESET_FLAG_PSCI_RESET2");
  EXPECT_EQ(exit.find("system_event.data", 0)->kind, FieldKind::kEnumerated);
  EXPECT_EQ(shown(event(context_of(Architecture::kAarch64, "5.18"), 2, 0, 0).decoded(),
                  "system_event.data", 0),
            "stale");
  const Exit android = event(context_of(Architecture::kAarch64, "5.10.43"), 2, 0, 1).decoded();
  EXPECT_EQ(android.find("system_event.flags")->value_name,
            "KVM_SYSTEM_EVENT_RESET_FLAG_PSCI_RESET2");
}

TEST(SystemEvent, AReset2OfArm64IsOneInEitherLayout) {
  for (const char* kernel : {"5.18.0-rc1", "unknown"}) {
    const KvmRunPage page = event(context_of(Architecture::kAarch64, kernel), 2, 0, 1);
    EXPECT_EQ(page.decoded().find("system_event.flags")->value_name,
              "KVM_SYSTEM_EVENT_RESET_FLAG_PSCI_RESET2")
        << kernel;
    EXPECT_EQ(page.text(), "reset (PSCI SYSTEM_RESET2)") << kernel;
    EXPECT_EQ(shown(page.decoded(), "system_event.ndata"), "unknown") << kernel;
  }
}

TEST(SystemEvent, OfAReleaseCandidateItIsNotSaidThatTheKernelIsNotKnown) {
  const KvmRunPage page = event(context_of(Architecture::kAarch64, "5.18.0-rc1"), 1, 0, 0);
  EXPECT_EQ(page.decoded().find("system_event.ndata")->why,
            "release candidates of 5.18 have the layout before it or that of the release, and "
            "capability 215 is not known");
}

TEST(SystemEvent, AKernelOfTheElKindMayHaveTheLaterLayout) {
  const DecodeContext el9 = context_of(Architecture::kX86_64, "5.14.0-427.13.1.el9_4.x86_64");
  const KvmRunPage page = event(el9, 6, 1, 1);
  EXPECT_EQ(shown(page.decoded(), "system_event.data", 0), "unknown");
  EXPECT_NE(page.decoded().find("system_event.data", 0)->why.find(".elN"), std::string_view::npos);
}

TEST(SystemEvent, Bit31OfTheTypeIsTheUnreleasedLayout) {
  const Exit exit =
      event(context_of(Architecture::kX86_64, "5.18.0-rc3"), 0x80000004, 1, 0x100).decoded();
  EXPECT_EQ(shown(exit, "system_event.type"), "valid 0x80000004");
  EXPECT_TRUE(exit.find("system_event.type")->value_name.empty());
  EXPECT_EQ(shown(exit, "system_event.data", 0), "unknown");
}

TEST(SystemEvent, WithoutKernelAndCapabilityOnlyNonZeroNdataTells) {
  const DecodeContext unknown = context_of(Architecture::kAarch64, "unknown");
  EXPECT_EQ(shown(event(unknown, 1, 1, 1).decoded(), "system_event.data", 0), "valid 0x1");
  EXPECT_EQ(shown(event(unknown, 1, 0, 0).decoded(), "system_event.ndata"), "unknown");
  const DecodeContext x86 = context_of(Architecture::kX86_64, "unknown");
  EXPECT_EQ(shown(event(x86, 6, 1, 1).decoded(), "system_event.data", 0), "unknown");
}

TEST(SystemEvent, MoreWordsThanThereAreAreNotBelieved) {
  const Exit exit = event(context_of(Architecture::kX86_64, "6.12"), 6, 4000000000u, 1).decoded();
  EXPECT_EQ(shown(exit, "system_event.ndata"), "unknown");
  EXPECT_EQ(shown(exit, "system_event.data", 0), "unknown");
}

}  // namespace
}  // namespace kvmtape
