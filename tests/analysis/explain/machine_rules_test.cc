// The rules for host, monitor and processor, and for arm64 and confidential guests: where each
// comes first, a near miss, and what it says that it cannot know.
#include <gmock/gmock.h>

#include "tests/analysis/explain/guest_states.h"
#include "tests/support/arm64_registers.h"
#include "tests/support/explained.h"
#include "tests/support/test_ring.h"

namespace kvmtape::testing {
namespace {

using ::testing::AllOf;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

TEST(SimulEx, NamesBothEvents) {
  SyntheticTrace trace;
  trace.intel().internal_error(2, {0x80000b0d, 0x80000b0e, 0x10, 3});
  const Explained explained(trace);
  EXPECT_EQ(explained.first(), "simul-ex");
  EXPECT_THAT(explained.of("simul-ex").title, HasSubstr("#GP"));
  EXPECT_THAT(explained.of("simul-ex").title, HasSubstr("#PF"));
}

TEST(UnexpectedExitReason, IsNotCalledTheGuestsFault) {
  SyntheticTrace trace;
  trace.intel().internal_error(4, {76, 1});
  const Explained explained(trace);
  EXPECT_EQ(explained.first(), "unexpected-exit-reason");
  EXPECT_THAT(explained.all_said("unexpected-exit-reason"), HasSubstr("not the guest's fault"));
}

TEST(SvmInvalid, NamesTheCheckThatFails) {
  SyntheticTrace trace;
  trace.amd().fail_entry(~uint64_t{0}).regs(with(long_mode(0x1000000), {{"cr4", 0x6d0}}));
  const Explained explained(trace);
  EXPECT_EQ(explained.first(), "svm-invalid");
  EXPECT_THAT(explained.of("svm-invalid").title, HasSubstr("without CR4.PAE"));
}

TEST(SvmInvalid, WithoutRegistersCannotKnow) {
  SyntheticTrace trace;
  trace.amd().fail_entry(~uint64_t{0}).registers_not_taken();
  EXPECT_THAT(Explained(trace).all_said("svm-invalid"), HasSubstr("seccomp"));
}

TEST(SvmInvalid, IsNotOfAnIntelHost) {
  SyntheticTrace trace;
  trace.intel().fail_entry(0x80000021);
  EXPECT_FALSE(Explained(trace).found("svm-invalid"));
}

TEST(CpuUnsupported, IsOfArm64Alone) {
  SyntheticTrace arm, x86;
  arm.arm64().fail_entry(1);
  EXPECT_EQ(Explained(arm).first(), "cpu-unsupported");
  x86.intel().fail_entry(1);
  EXPECT_FALSE(Explained(x86).found("cpu-unsupported"));
}

TEST(MemoryFault, NamesAddressAndKind) {
  SyntheticTrace trace;
  trace.intel().memory(0, 0x1000000).out(0x80, {1}).memory_fault(8, 0x123000, 0x1000, 14);
  const Explained explained(trace);
  EXPECT_EQ(explained.first(), "memory-fault");
  EXPECT_THAT(explained.of("memory-fault").title, HasSubstr("private access to 0x123000"));
}

TEST(MemoryFault, ThatTheMonitorMendedIsNone) {
  SyntheticTrace trace;
  trace.intel().memory_fault(8, 0x123000, 0x1000, 14).out(0x80, {1}).hlt(true);
  EXPECT_THAT(Explained(trace).causes(), IsEmpty());
}

TEST(MemoryFault, PoisonIsTheHosts) {
  SyntheticTrace trace;
  trace.intel().memory_fault(0, 0x123000, 0x1000, 133);
  EXPECT_THAT(Explained(trace).of("memory-fault").title, HasSubstr("hardware memory error"));
}

TEST(MemoryFault, OfAnOlderKernelHasNoAddress) {
  SyntheticTrace trace;
  trace.intel().kernel("6.1.0").failed(14);
  EXPECT_THAT(Explained(trace).all_said("memory-fault"), HasSubstr("cannot know: which address"));
}

TEST(RunFailed, NamesTheErrno) {
  SyntheticTrace trace;
  trace.intel().out(0x80, {1}).failed(12);
  const Explained explained(trace);
  EXPECT_EQ(explained.first(), "run-failed");
  EXPECT_THAT(explained.of("run-failed").title, HasSubstr("ENOMEM"));
}

TEST(RunFailed, IsNotASignal) {
  SyntheticTrace trace;
  trace.intel().out(0x80, {1}).interrupted().out(0x80, {2}).interrupted();
  EXPECT_THAT(Explained(trace).causes(), IsEmpty());
}

TEST(Nisv, NamesAddressAndDirection) {
  SyntheticTrace trace;
  trace.arm64().nisv(0x46, 0x9000040);
  const Explained explained(trace);
  EXPECT_EQ(explained.first(), "nisv");
  EXPECT_THAT(explained.of("nisv").title, HasSubstr("wrote to 0x9000040"));
}

TEST(Nisv, WithoutTheCapabilityComesAsEnosys) {
  SyntheticTrace trace;
  trace.arm64().failed(38);
  EXPECT_THAT(Explained(trace).all_said("nisv"), HasSubstr("177"));
}

TEST(Nisv, ThatTheMonitorEmulatedIsNone) {
  SyntheticTrace trace;
  trace.arm64().nisv(0x46, 0x9000040).mmio_write(0x9000000, {'x', 0, 0, 0});
  EXPECT_THAT(Explained(trace).causes(), IsEmpty());
}

TEST(ArmSea, NamesTheAddress) {
  SyntheticTrace trace;
  trace.arm64("7.2.0").sea(0x92000010, 0xffff000012345000, 0x52345000);
  const Explained explained(trace);
  EXPECT_EQ(explained.first(), "arm-sea");
  EXPECT_THAT(explained.of("arm-sea").title, HasSubstr("0x52345000"));
}

TEST(ExternalAbort, NamesTheAccessThatItAnswers) {
  SyntheticTrace trace;
  trace.arm64().mmio_write(0x9000000, {'x', 0, 0, 0}).nisv(0x6, 0xa000000).set_events(kAbort);
  trace.mmio_write(0x9000000, {'y', 0, 0, 0});
  const Explained explained(trace);
  EXPECT_EQ(explained.first(), "external-abort-injected");
  EXPECT_EQ(explained.of("external-abort-injected").evidence.front(), (Place{0, 1}));
  EXPECT_THAT(explained.all_said("external-abort-injected"), HasSubstr("0xa000000"));
}

TEST(ExternalAbort, IsNotEveryCallThatSetsEvents) {
  SyntheticTrace trace;
  trace.arm64().mmio_write(0x9000000, {'x', 0, 0, 0}).set_events(kNothing);
  trace.mmio_write(0x9000000, {'y', 0, 0, 0});
  EXPECT_THAT(Explained(trace).causes(), IsEmpty());
}

TEST(Serror, NamesWhoInjectedIt) {
  SyntheticTrace trace;
  trace.arm64().mmio_write(0x9000000, {'x', 0, 0, 0}).set_events(kSerror);
  trace.mmio_write(0x9000000, {'y', 0, 0, 0});
  const Explained explained(trace);
  EXPECT_EQ(explained.first(), "serror");
  EXPECT_FALSE(explained.found("external-abort-injected"));
}

TEST(SevTermination, DecodesTheCode) {
  SyntheticTrace trace;
  trace.amd().system_event(6, {0x10100});
  const Explained explained(trace);
  EXPECT_EQ(explained.first(), "sev-termination");
  EXPECT_THAT(explained.of("sev-termination").title, HasSubstr("guest requested termination"));
}

TEST(TdxFatal, ShowsTheGuestsLastWords) {
  std::vector<uint64_t> data(16);
  data[1] = uint64_t{1} << 14;    // rcx: r14 holds text
  data[14] = 0x0000000063696e61;  // "anic", without its p
  SyntheticTrace trace;
  trace.intel().kernel("6.16.0").system_event(7, data);
  const Explained explained(trace);
  EXPECT_EQ(explained.first(), "tdx-fatal");
  EXPECT_THAT(explained.of("tdx-fatal").title, HasSubstr("anic"));
}

TEST(GuestCrashEvent, IsTheGuestsOwnWord) {
  SyntheticTrace trace;
  trace.intel().system_event(3);
  EXPECT_EQ(Explained(trace).first(), "guest-crash-event");
}

TEST(GuestAsked, OffAndResetAreNoCause) {
  for (const uint32_t type : {1u, 2u}) {
    SyntheticTrace trace;
    trace.arm64().mmio_write(0x9000000, {'x', 0, 0, 0}).system_event(type, {0});
    const Explained explained(trace);
    EXPECT_THAT(explained.causes(), IsEmpty());
    EXPECT_THAT(explained.notes(), Contains("guest-asked"));
  }
}

TEST(GuestAsked, AFailureAsTheReasonIsACause) {
  SyntheticTrace trace;
  trace.riscv().system_event(1, {1});
  EXPECT_EQ(Explained(trace).first(), "guest-asked");
}

TEST(CleanShutdown, ThroughAcpiIsANote) {
  SyntheticTrace trace;
  trace.intel().out(0x80, {1}).out(0x604, {0, 0x20});
  const Explained explained(trace);
  EXPECT_THAT(explained.causes(), IsEmpty());
  EXPECT_THAT(explained.notes(), Contains("clean-shutdown"));
}

TEST(CleanShutdown, IsNotAWriteWithoutSleepEnable) {
  SyntheticTrace trace;
  trace.intel().out(0x604, {1, 0});
  EXPECT_FALSE(Explained(trace).found("clean-shutdown"));
}

TEST(Pvpanic, IsTheGuestsOwnWord) {
  SyntheticTrace panicked, probing;
  panicked.intel().out(0x505, {1}).hlt(false);
  EXPECT_EQ(Explained(panicked).first(), "pvpanic");
  probing.intel().in(0x505, {3}).hlt(true);
  EXPECT_FALSE(Explained(probing).found("pvpanic"));
}

TEST(LinuxBrk, NamesBug) {
  SyntheticTrace trace;
  trace.arm64().debug_arm(0xf2000800, 0, 1);
  const Explained explained(trace);
  EXPECT_EQ(explained.first(), "linux-brk");
  EXPECT_THAT(explained.of("linux-brk").title, HasSubstr("0x800"));
}

TEST(LinuxBrk, IsNotADebuggersBreakpoint) {
  SyntheticTrace trace;
  trace.arm64().debug_arm(0xf2000401, 0, 1).debug_arm(0xf2000004, 0, 1).debug_arm(0xf2001234, 0, 1);
  EXPECT_FALSE(Explained(trace).found("linux-brk"));
}

TEST(StaleHsrHigh, IsANoteWhereTheFlagIsNotSet) {
  SyntheticTrace stale, real;
  stale.arm64("5.10.0").debug_arm(0xf2001234, 0xaaaaaaaa, 0);
  const Explained explained(stale);
  EXPECT_THAT(explained.notes(), Contains("stale-hsr-high"));
  EXPECT_THAT(explained.causes(), IsEmpty());
  real.arm64("6.12.0").debug_arm(0xf2001234, 0x10, 1);
  EXPECT_FALSE(Explained(real).found("stale-hsr-high"));
}

TEST(OsLock, HidesWhatTheGuestArmed) {
  SyntheticTrace locked, open, unarmed, older;
  locked.arm64().mmio_write(0x9000000, {1}).one_regs({{kOslsr, 0xa}, {kMdscr, 0x8000}});
  EXPECT_EQ(Explained(locked).first(), "os-lock");
  open.arm64().mmio_write(0x9000000, {1}).one_regs({{kOslsr, 0x8}, {kMdscr, 0x8000}});
  EXPECT_FALSE(Explained(open).found("os-lock"));
  unarmed.arm64().mmio_write(0x9000000, {1}).one_regs({{kOslsr, 0xa}, {kMdscr, 0}});
  EXPECT_FALSE(Explained(unarmed).found("os-lock"));
  older.arm64("5.10.0").mmio_write(0x9000000, {1}).one_regs({{kOslsr, 0xa}, {kMdscr, 0x8000}});
  EXPECT_FALSE(Explained(older).found("os-lock")) << "5.10 has no such register to believe";
}

TEST(EsrSignExtension, IsANoteAboutTheUpperHalf) {
  SyntheticTrace trace, plain;
  trace.arm64("6.1.0").system_event(1, {0}).one_regs({{kEsrEl1, 0xffffffff96000010}});
  EXPECT_THAT(Explained(trace).notes(), Contains("esr-sign-extension"));
  plain.arm64("6.1.0").system_event(1, {0}).one_regs({{kEsrEl1, 0x96000010}});
  EXPECT_FALSE(Explained(plain).found("esr-sign-extension"));
}

TEST(NotifyWindow, SaysWhetherTheContextIsLost) {
  SyntheticTrace trace;
  trace.intel().exit(37);
  EXPECT_EQ(Explained(trace).first(), "notify-window");
}

TEST(UnhandledAccess, AnsweredWithTheDataOfTheAccessBefore) {
  SyntheticTrace trace;
  trace.intel().mmio_read(0xfe000000, {1, 2, 3, 4}, {0, 0, 0, 0});
  trace.mmio_read(0xfebf1000, {1, 2, 3, 4}, {1, 2, 3, 4}).shutdown().regs(long_mode(1 << 20));
  const Explained explained(trace);
  EXPECT_THAT(explained.causes(), Contains("unhandled-access"));
  EXPECT_EQ(explained.of("unhandled-access").evidence.front(), (Place{0, 1}));
  const std::string said = explained.all_said("unhandled-access");
  EXPECT_THAT(said, HasSubstr("looks alike where a device answers with the same bytes"));
  EXPECT_THAT(said, Not(HasSubstr("did not write")));
}

TEST(UnhandledAccess, PolledOnesWithoutACrashAreACause) {
  SyntheticTrace trace;
  trace.intel();
  for (int i = 0; i < 1'200; ++i) trace.mmio_read(0xfebf0000, {0xff, 0xff, 0xff, 0xff});
  EXPECT_EQ(Explained(trace).first(), "unhandled-access");
}

TEST(UnhandledAccess, ProbingABusIsNone) {
  SyntheticTrace trace;
  trace.intel();
  for (uint8_t device = 0; device < 32; ++device)
    trace.out(0xcf8, {0, 0, device, 0x80}).in(0xcfc, {0xff, 0xff, 0xff, 0xff});
  trace.in(0x2fd, {0xff}).hlt(true);
  EXPECT_THAT(Explained(trace).causes(), IsEmpty());
}

TEST(SameAddressLoop, NamesWhatIsPolled) {
  SyntheticTrace trace;
  trace.intel();
  for (int i = 0; i < 6'000; ++i) trace.in(0x1f7, {0x80});
  const Explained explained(trace);
  EXPECT_EQ(explained.first(), "same-address-loop");
  EXPECT_THAT(explained.of("same-address-loop").title, HasSubstr("port 0x1f7"));
}

TEST(SameAddressLoop, IsNoneWhenTheAnswerChanges) {
  SyntheticTrace trace;
  trace.intel();
  for (int i = 0; i < 6'000; ++i) trace.in(0x1f7, {static_cast<uint8_t>(i % 2)});
  EXPECT_FALSE(Explained(trace).found("same-address-loop"));
}

TEST(ExitStorm, NamesTheKindOfExit) {
  SyntheticTrace trace;
  trace.intel();
  for (int i = 0; i < 25'000; ++i) trace.out(0xe000, {static_cast<uint8_t>(i), 1, 2, 3});
  const Explained explained(trace);
  EXPECT_EQ(explained.first(), "exit-storm");
  EXPECT_THAT(explained.of("exit-storm").title, HasSubstr("0xe000"));
}

TEST(ExitStorm, IsNoneAtALeisurelyPace) {
  SyntheticTrace trace;
  trace.intel();
  for (int i = 0; i < 25'000; ++i) trace.wait_ns(1'000'000).out(0xe000, {1});
  EXPECT_FALSE(Explained(trace).found("exit-storm"));
}

TEST(MonitorAway, NamesTheExitThatWasNotAnswered) {
  SyntheticTrace trace;
  trace.intel().answer_takes_ns(30'000'000'000).mmio_write(0xfebf0050, {1, 0, 0, 0}).hlt(true);
  const Explained explained(trace);
  EXPECT_EQ(explained.first(), "monitor-away");
  EXPECT_THAT(explained.all_said("monitor-away"), HasSubstr("soft lockup"));
}

TEST(MonitorAway, APausedGuestIsNone) {
  SyntheticTrace trace;
  trace.intel().out(0x80, {1}).answer_takes_ns(30'000'000'000).interrupted().out(0x80, {2});
  EXPECT_THAT(Explained(trace).causes(), IsEmpty());
}

TEST(HltInterruptsOff, IsPossibleWhereInterruptsWereOnBefore) {
  SyntheticTrace trace;
  trace.intel().out(0x80, {1}).hlt(false);
  const Explained explained(trace);
  EXPECT_EQ(explained.first(), "hlt-interrupts-off");
  EXPECT_LT(explained.of("hlt-interrupts-off").confidence, 0.5);
}

TEST(HltInterruptsOff, IsNoneWhereAnotherVcpuRuns) {
  SyntheticTrace trace;
  trace.intel().out(0x80, {1}).hlt(false).on(1).hlt(true);
  EXPECT_THAT(Explained(trace).causes(), IsEmpty());
}

TEST(SilentGuest, IsANoteSinceIdleLooksAlike) {
  SyntheticTrace silent, busy;
  silent.intel().out(0x80, {1}).wait_ns(50'000'000'000).interrupted();
  const Explained explained(silent);
  EXPECT_THAT(explained.causes(), IsEmpty());
  EXPECT_THAT(explained.notes(), Contains("silent-guest"));
  busy.intel().out(0x80, {1}).wait_ns(50'000'000'000).interrupted().out(0x80, {2});
  EXPECT_FALSE(Explained(busy).found("silent-guest"));
}

TEST(SilentGuest, IsTheOneWhoseRecordingWentOnBehindItsLastExit) {
  SyntheticTrace silent, ended;
  silent.intel().out(0x80, {1}).on(1).set_regs({{"rip", 0xfff0}});
  silent.wait_ns(50'000'000'000);  // vCPU 1 was never left
  EXPECT_THAT(Explained(silent).notes(), Contains("silent-guest"));
  ended.intel().out(0x80, {1}).wait_ns(5'000'000'000);
  EXPECT_FALSE(Explained(ended).found("silent-guest"));
}

TEST(UnhandledAccess, AScrollingScreenIsNone) {
  SyntheticTrace trace;
  trace.intel();
  for (uint64_t at = 0xb80a0; at < 0xb8140; at += 8)
    trace.mmio_read(at, {1, 2, 3, 4}, {1, 2, 3, 4}).mmio_write(at - 0xa0, {1, 2, 3, 4});
  trace.shutdown().regs(long_mode(1 << 20));
  EXPECT_FALSE(Explained(trace).found("unhandled-access"));
}

TEST(UnhandledAccess, OneByteThatIsTheSameByChanceIsNone) {
  SyntheticTrace trace;
  trace.intel();
  for (uint64_t i = 0; i < 40; ++i) trace.mmio_read(0xfebf0000 + i, {0x20}, {0x20});
  trace.hlt(true);
  EXPECT_THAT(Explained(trace).causes(), IsEmpty());
}

TEST(HltInterruptsOff, LooksAtTheLastHaltOfManyAlike) {
  SyntheticTrace woken;
  woken.intel().hlt(false).out(0x80, {1}).hlt(true);
  EXPECT_THAT(Explained(woken).causes(), IsEmpty());
}

TEST(LostExits, WeakenTheVerdictAndAreANote) {
  SyntheticTrace whole, lossy;
  whole.intel().out(0x80, {1}).shutdown().regs(with(long_mode(1 << 20), {{"idt.limit", 0}}));
  lossy.intel().out(0x80, {1}).lost(7).shutdown().regs(
      with(long_mode(1 << 20), {{"idt.limit", 0}}));
  const Explained all(whole), some(lossy);
  EXPECT_FALSE(all.found("lost-exits"));
  EXPECT_THAT(some.notes(), Contains("lost-exits"));
  EXPECT_LT(some.of("triple-fault").confidence, all.of("triple-fault").confidence);
  EXPECT_THAT(some.of("lost-exits").next, HasSubstr("--ring"));
}

TEST(LostExits, AreANoteWhereTheEndMayBeMissing) {
  SyntheticTrace whole, cut;
  for (SyntheticTrace* trace : {&whole, &cut})
    trace->intel().out(0x80, {1}).shutdown().regs(with(long_mode(1 << 20), {{"idt.limit", 0}}));
  const ScratchDirectory scratch;
  const Explained all(whole), some(cut.write_unsealed_to(scratch.file("cut")));
  EXPECT_THAT(some.all_said("lost-exits"),
              AllOf(HasSubstr("it was not closed"), HasSubstr("may have lost some"),
                    Not(HasSubstr("--ring"))));
  EXPECT_LT(some.of("triple-fault").confidence, all.of("triple-fault").confidence);
}

TEST(LostExits, AreCountedOnceWhereThereIsOneVcpu) {
  SyntheticTrace one, two, both;
  one.intel().out(0x80, {1}).lost(2'808).hlt(true);
  EXPECT_EQ(Explained(one).of("lost-exits").title, "2,808 exits are missing");
  two.intel().out(0x80, {1}).lost(2'808).hlt(true).on(1).hlt(true);
  EXPECT_EQ(Explained(two).of("lost-exits").title, "2,808 exits are missing, all of vCPU 0");
  both.intel().out(0x80, {1}).lost(2'808).hlt(true).on(1).out(0x80, {1}).lost(1).hlt(true);
  EXPECT_EQ(Explained(both).of("lost-exits").title,
            "2,809 exits are missing, 2,808 of them of vCPU 0");
}

// A recorder that was killed left rings, in which nothing is missing; but nobody closed it.
TEST(LostExits, AreThoughtOfWhereNobodyClosedTheRecording) {
  const ScratchDirectory scratch;
  TraceBuilder trace(scratch.path());
  const std::string path = trace.write_to(scratch.file("killed"));
  TestRing ring(scratch.path(), trace.session(), 0);
  ring.add_exits(5);
  const Explained explained(path);
  EXPECT_THAT(explained.notes(), Contains("lost-exits"));
  EXPECT_THAT(explained.of("lost-exits").evidence, ElementsAre(Place{0, 4}));
}

// The drain records what it could not read of a ring as damaged, in a file that is not.
TEST(LostExits, ToDamageAreNotMendedByALargerRing) {
  SyntheticTrace damaged;
  damaged.intel().out(0x80, {1});
  damaged.builder().add_gap(0, 3, GapReason::kDamaged);
  damaged.hlt(true);
  EXPECT_THAT(
      Explained(damaged).all_said("lost-exits"),
      AllOf(HasSubstr("3 exits are missing"), HasSubstr("another copy"), Not(HasSubstr("--ring"))));
}

TEST(LostExits, OfVcpusThatFoundNoRingAreTheMemorysOrTheirNumbers) {
  for (const uint32_t vcpus : {kVcpusWithRingMax, kVcpusWithRingMax + 1}) {
    SyntheticTrace trace;
    trace.intel().out(0x80, {1});
    for (uint32_t i = 1; i < vcpus; ++i)
      trace.builder().edit_session().vcpus.push_back({i, i, 12288});
    trace.builder().add_gap(vcpus - 1, 3, GapReason::kNoRing);
    EXPECT_THAT(Explained(trace).of("lost-exits").next,
                HasSubstr(vcpus == kVcpusWithRingMax ? "room for the rings, in memory"
                                                     : "before it has had 3,840 vCPUs"));
  }
}

TEST(LostExits, AreANoteWhereAllOfThemAreLost) {
  SyntheticTrace lost;
  lost.intel().lost(1);
  const Explained explained(lost);
  EXPECT_THAT(explained.all_said("lost-exits"),
              AllOf(HasSubstr("No exit can be read"), HasSubstr("1 exit is missing")));
}

TEST(WatchdogRule, AFeedMayBeInWhatIsNotHere) {
  const auto hungry = [] {
    SyntheticTrace trace;
    trace.intel().out(0x443, {0xa}).wait_ns(11 * kSecond);
    return trace;
  };
  EXPECT_EQ(Explained(hungry().hlt(true)).of("watchdog").confidence, 0.6);
  EXPECT_LT(Explained(hungry().lost(3).hlt(true)).of("watchdog").confidence, 0.3);
}

// Two machines of one recording, one after the other: a snapshot is of the crash that is its
// reason.
TEST(WhichCrash, OfASnapshotIsTheOneThatItWasWrittenFor) {
  for (const bool is_named : {false, true}) {
    SyntheticTrace trace;
    trace.intel().new_vm().on(0).out(0x80, {1}).emulation_failure({0x0f, 0x0b}, 0, 0, 0);
    trace.new_vm().on(1).out(0x80, {1}).on(2).emulation_failure({0xf1}, 0, 0, 0);
    trace.on(1).out(0x80, {2}).emulation_failure({0xd9, 0x07}, 0, 0, 0);
    if (is_named) trace.builder().edit_session().trigger = "crash: exit 1:2, reason 17";
    const Explained explained(trace);
    const Case& all = *explained.explanation().all;
    ASSERT_NE(all.crash, nullptr);
    // Of the named one's machine the first, which the named one may have followed.
    EXPECT_EQ(all.crash->exit.place, (is_named ? Place{2, 0} : Place{0, 1}));
    EXPECT_EQ(all.other_crashes.size(), 2u);
  }
}

}  // namespace
}  // namespace kvmtape::testing
