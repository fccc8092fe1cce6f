// What emulation-failure says of what a redaction removed, and of instructions that every processor
// has.
#include <gmock/gmock.h>

#include "tests/support/explained.h"

namespace kvmtape::testing {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

const std::vector<uint8_t> kInt3 = {0xcc};

TEST(WhyEmulated, OfARedactedRecordingSaysThatItWasRedacted) {
  SyntheticTrace trace;
  trace.intel().emulation_failure(kInt3, 48, 0, 0);
  trace.builder().edit_session().redaction = "strict";
  const Explained explained(trace);
  const std::string said = explained.all_said("emulation-failure");
  EXPECT_THAT(explained.of("emulation-failure").title,
              HasSubstr("an instruction that was redacted"));
  EXPECT_THAT(said, HasSubstr("which hardware exit led to emulation: redacted"));
  EXPECT_THAT(said, Not(HasSubstr("this kernel did not say")));
}

TEST(WhyEmulated, OfAnOldKernelSaysThatTheKernelDidNot) {
  SyntheticTrace trace;
  trace.intel().kernel("5.4.0").internal_error(1, {});
  EXPECT_THAT(Explained(trace).all_said("emulation-failure"), HasSubstr("this kernel did not say"));
}

TEST(WhyEmulated, NoCpuidBitHidesASoftwareInterrupt) {
  for (const std::vector<uint8_t>& instruction : {kInt3, {0xf1}, {0xcd, 0x80}}) {
    SyntheticTrace trace;
    trace.intel().emulation_failure(instruction, 33, 0, 0);
    const Explained explained(trace);
    EXPECT_THAT(explained.of("emulation-failure").next, HasSubstr("no CPUID bit hides"));
  }
}

}  // namespace
}  // namespace kvmtape::testing
