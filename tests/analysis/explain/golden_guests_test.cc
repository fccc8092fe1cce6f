// The part of the corpus that real kernels wrote once and that lies in traces/: each guest of the
// probe's battery, of this machine's KVM and of the lab's arm64 kernels, with the cause that must
// come first. What is not named is healthy, and nothing may be found in it.
#include <fmt/format.h>
#include <gmock/gmock.h>

#include <map>
#include <string_view>

#include "analysis/explain/probe_guests.h"
#include "tests/support/explained.h"

namespace kvmtape::testing {
namespace {

struct Cause {
  std::string_view rule;
  std::string_view title = "";  // a part of it
};
using First = std::map<std::string_view, Cause>;  // by the guest's name

const First kOfX86 = {
    {"shutdown", {"triple-fault", "the IDT is empty (limit 0)"}},
    {"debug_int3", {"emulation-failure", "\"int3\""}},  // this KVM cannot emulate it
    // The memory of the IDT is not recorded: it has no gates, so the TSS is not even looked at.
    {"debug_int3_user", {"triple-fault", "either the IDT has no gate for it"}},
    {"emulation_failure", {"emulation-failure", "addps"}},
    {"emulation_failure_user", {"emulation-failure", "addps"}},
    {"fetch_from_mmio", {"jump-astray", "0xd0000000"}},
    {"event_delivery", {"triple-fault", "the IDT lies at 0xd0000000"}},  // no memory is there
};
const First kOfArm64 = {
    {"nisv_abort", {"external-abort-injected"}},
    {"nisv_enosys", {"nisv"}},
    {"external_abort", {"external-abort-injected"}},
    {"serror", {"serror"}},
    {"serror_esr", {"serror"}},
    {"run_enoexec", {"run-failed"}},
    {"bad_memory", {"memory-fault"}},
};

void expect_causes(const std::string& recording, const First& first) {
  auto opened =
      TraceReader::open(fmt::format("{}/traces/{}.kvmtape", KVMTAPE_SOURCE_DIR, recording));
  ASSERT_TRUE(opened.ok()) << recording;
  const auto guests = explain_probe_guests(**opened);
  EXPECT_GE(guests.size(), 38u) << recording;
  size_t named = 0;
  for (const ProbeGuest& guest : guests) {
    const auto expected = first.find(guest.name);
    const std::string_view cause = guest.causes.empty() ? "" : guest.causes.front().rule;
    EXPECT_EQ(cause, expected == first.end() ? "" : expected->second.rule)
        << guest.name << " of " << recording;
    if (expected != first.end() && !guest.causes.empty()) {
      EXPECT_THAT(guest.causes.front().title, ::testing::HasSubstr(expected->second.title));
    }
    named += expected == first.end() ? 0 : 1;
  }
  EXPECT_EQ(named, first.size()) << recording;
}

TEST(GoldenGuests, OfX86HaveTheirCauseFirstAndTheOthersNone) {
  expect_causes("probe-x86_64-6.18", kOfX86);
}

TEST(GoldenGuests, OfArm64HaveTheirCauseFirstAndTheOthersNone) {
  for (const char* kernel : {"5.10", "6.1", "6.12", "6.18", "7.2"})
    expect_causes(fmt::format("probe-aarch64-{}", kernel), kOfArm64);
}

}  // namespace
}  // namespace kvmtape::testing
