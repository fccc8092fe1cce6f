// Rules that take what stands directly before a crash for its cause: what may stand between the
// two, what may not, and what is said where it cannot be known.
#include <gmock/gmock.h>

#include "tests/analysis/explain/guest_states.h"
#include "tests/support/explained.h"

namespace kvmtape::testing {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

constexpr uint16_t kResetPort = 0xcf9;
const std::vector<uint8_t> kPciReset = {6};
NamedRegisters without_idt() { return with(long_mode(kText), kNoIdt); }

SyntheticTrace running_guest() {
  SyntheticTrace trace;
  trace.intel().memory(0, 0x8000000).out(0x80, {1});
  return trace;
}

TEST(ResetRequested, IsNotTheCauseWhereTheGuestWentOn) {
  SyntheticTrace trace = running_guest();
  trace.out(kResetPort, kPciReset).interrupted().interrupted().out(0x80, {0x77});
  trace.emulation_failure({0xf1}, 0x1000, 0, 0).regs(real_mode(0x21));
  const Explained explained(trace);
  EXPECT_FALSE(explained.found("reset-requested"));
  EXPECT_EQ(explained.first(), "emulation-failure");
}

TEST(ResetRequested, IsNotTheCauseWhereTheMonitorSetTheRegistersSince) {
  SyntheticTrace trace = running_guest();
  trace.out(kResetPort, kPciReset)
      .interrupted()
      .set_regs(real_mode(0xfff0))
      .shutdown()
      .regs(without_idt());
  EXPECT_FALSE(Explained(trace).found("reset-requested"));
}

TEST(ResetRequested, IsNotTheCauseWhereTheMonitorSetThemInThePage) {
  constexpr size_t kDirtyRegs = 296, kPageWithSyncArea = 2352;
  SyntheticTrace trace = running_guest();
  trace.out(kResetPort, kPciReset);
  TraceBuilder::GivenExit signal;
  signal.run.resize(kPageWithSyncArea);
  signal.run[8] = 10;
  signal.ret = -4;
  signal.answer_run = signal.run;
  signal.answer_run[kDirtyRegs] = 1;
  trace.builder().add_exit(0, signal);
  trace.shutdown().regs(without_idt());
  EXPECT_FALSE(Explained(trace).found("reset-requested"));
}

TEST(ResetRequested, MayHaveASignalBetweenItAndTheEnd) {
  SyntheticTrace trace = running_guest();
  trace.set_regs(long_mode(kText))
      .out(kResetPort, kPciReset)
      .interrupted()
      .shutdown()
      .regs(without_idt());
  const Explained explained(trace);
  EXPECT_EQ(explained.first(), "reset-requested");
  EXPECT_THAT(explained.all_said("reset-requested"), HasSubstr("the monitor did not reset it"));
}

TEST(ResetRequested, IsOfTheVcpuThatDied) {
  SyntheticTrace trace = running_guest();
  trace.on(1).out(kResetPort, kPciReset).on(0).shutdown().regs(without_idt());
  EXPECT_FALSE(Explained(trace).found("reset-requested"));
}

TEST(ResetRequested, OfARecordingWithoutCallsCannotSayWhetherItWasDone) {
  SyntheticTrace trace;
  trace.intel().out(kResetPort, kPciReset).shutdown().regs(without_idt());
  const std::string said = Explained(trace).all_said("reset-requested");
  EXPECT_THAT(said, HasSubstr("cannot know: whether the monitor reset it"));
  EXPECT_THAT(said, Not(HasSubstr("did not reset it")));
}

TEST(ResetRequested, BeforeALossCannotSayWhetherTheGuestWentOn) {
  SyntheticTrace trace = running_guest();
  trace.out(kResetPort, kPciReset).lost(3).shutdown().regs(without_idt());
  const std::string said = Explained(trace).all_said("reset-requested");
  EXPECT_THAT(said, HasSubstr("cannot know: whether the guest went on: 3 exits"));
  EXPECT_THAT(said, Not(HasSubstr("did not reset it")));
}

TEST(ResetRequested, OverAndOverSaysHowOften) {
  SyntheticTrace trace = running_guest();
  for (int i = 0; i < 300; ++i)
    trace.out(kResetPort, kPciReset).interrupted().set_regs(real_mode(0xfff0)).out(0x80, {1});
  for (int i = 0; i < 8; ++i) trace.out(0x80, {2});
  const Explained explained(trace);
  EXPECT_THAT(explained.notes(), ::testing::Contains("reset-requested"));
  EXPECT_THAT(explained.of("reset-requested").title,
              HasSubstr("asked to be reset 300 times in 0.0 s, the last time it wrote"));
}

constexpr uint32_t kMsr = 0x8b;

TEST(MsrRefused, IsNotTheCauseWhereTheGuestWentOn) {
  SyntheticTrace trace = running_guest();
  trace.rdmsr_refused(kMsr).out(0x80, {2}).shutdown().regs(without_idt());
  EXPECT_FALSE(Explained(trace).found("msr-refused"));
}

TEST(MsrRefused, IsNotTheCauseOfAnInstructionThatKvmCannotEmulate) {
  SyntheticTrace trace = running_guest();
  trace.rdmsr_refused(kMsr).emulation_failure(kAddps, 0x1000, 0, 0).regs(long_mode(kText));
  const Explained explained(trace);
  EXPECT_FALSE(explained.found("msr-refused"));
  EXPECT_EQ(explained.first(), "emulation-failure");
}

TEST(MsrRefused, BeforeALossIsNotKnownToBeTheLast) {
  SyntheticTrace trace = running_guest();
  trace.rdmsr_refused(kMsr).lost(3).shutdown().regs(without_idt());
  EXPECT_FALSE(Explained(trace).found("msr-refused"));
}

TEST(MsrRefused, MayHaveASignalBetweenItAndTheEnd) {
  SyntheticTrace trace = running_guest();
  trace.rdmsr_refused(kMsr).interrupted().shutdown().regs(without_idt());
  const Explained explained(trace);
  EXPECT_EQ(explained.first(), "msr-refused");
  EXPECT_THAT(explained.of("msr-refused").title, HasSubstr("just before the guest died"));
}

TEST(MsrRefused, MayEndInAnEventThatCannotBeDelivered) {
  SyntheticTrace trace = running_guest();
  trace.rdmsr_refused(kMsr).internal_error(3, {0x80000b0d, 49, 0, 0xd0000000, 1});
  EXPECT_TRUE(Explained(trace).found("msr-refused"));
}

}  // namespace
}  // namespace kvmtape::testing
