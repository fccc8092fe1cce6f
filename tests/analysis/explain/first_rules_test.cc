// The rules for x86 guests that die at once: each on a recording where it comes first, on a near
// miss where it must not fire, and beside a competing cause.
#include <gmock/gmock.h>

#include "tests/analysis/explain/guest_states.h"
#include "tests/support/explained.h"

namespace kvmtape::testing {
namespace {

using ::testing::Contains;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

SyntheticTrace linux_guest() {
  SyntheticTrace trace;
  trace.intel().memory(0, 0x8000000).out(0x3f8, {'a'}).in(0x3fd, {0x60});
  return trace;
}

TEST(TripleFault, NamesTheEmptyIdtInLongMode) {
  SyntheticTrace trace = linux_guest();
  trace.shutdown().regs(with(long_mode(0xffffffff81000000), {{"idt.limit", 0}}));
  const Explained explained(trace);
  EXPECT_EQ(explained.first(), "triple-fault");
  EXPECT_THAT(explained.all_said("triple-fault"), HasSubstr("64-bit long mode: the IDT is empty"));
}

TEST(TripleFault, NamesThePageTableThatNoMemoryHolds) {
  SyntheticTrace trace = linux_guest();
  trace.shutdown().regs(with(long_mode(0xffffffff81000000), {{"cr3", 0x7fff0000000}}));
  EXPECT_THAT(Explained(trace).all_said("triple-fault"), HasSubstr("CR3 (0x7fff0000000)"));
}

TEST(TripleFault, NamesRealMode) {
  SyntheticTrace trace = linux_guest();
  trace.shutdown().regs(with(real_mode(0x7c00), {{"idt.limit", 0}}));
  EXPECT_THAT(Explained(trace).all_said("triple-fault"),
              HasSubstr("in real mode: the IDT is empty"));
}

TEST(TripleFault, OfAStackPointerAtZeroSaysThatAPushWraps) {
  const auto said = [](const NamedRegisters& registers) {
    SyntheticTrace trace = linux_guest();
    trace.shutdown().regs(registers);
    return Explained(trace).all_said("triple-fault");
  };
  const NamedRegisters lost =
      with(long_mode(0xffffffff81000000), {{"rsp", 0}, {"idt.limit", 0xfff}});
  EXPECT_THAT(said(lost), HasSubstr("a push wraps to the top of the address space, where a stack"));
  EXPECT_THAT(said(with(lost, {{"cr2", 0xfffffffffffffff8}})),
              HasSubstr("and faulted there (CR2 0xfffffffffffffff8)"));
  // SP wraps to 0xfffe, and an exception in ring 3 takes its stack elsewhere.
  const NamedRegisters protected_mode = {{"cr0", 1}, {"cs.selector", 8}, {"idt.limit", 0xfff}};
  EXPECT_THAT(said(protected_mode), Not(HasSubstr("stack pointer")));
  EXPECT_THAT(said(with(protected_mode, {{"ss.db", 1}})), HasSubstr("stack pointer"));
  EXPECT_THAT(said(with(lost, {{"cs.selector", 0x1b}, {"tr.base", 0x1000}})),
              Not(HasSubstr("stack pointer")));
}

const NamedRegisters kResetValues = {{"rip", 0xfff0},         {"rflags", 2},
                                     {"cr0", 0x60000010},     {"cs.base", 0xffff0000},
                                     {"cs.selector", 0xf000}, {"idt.limit", 0xffff}};

TEST(TripleFault, OnAmdResetValuesAreNotShownAsTheGuests) {
  SyntheticTrace trace;
  trace.amd().out(0x3f8, {'a'}).shutdown().regs(kResetValues);
  const Explained explained(trace);
  EXPECT_EQ(explained.first(), "triple-fault");
  EXPECT_TRUE(explained.explanation().all->at_crash.empty());
  EXPECT_THAT(explained.all_said("triple-fault"), HasSubstr("cannot know"));
  EXPECT_THAT(explained.all_said("triple-fault"), Not(HasSubstr("real mode")));
}

TEST(TripleFault, OnAmdTheRegistersThatTheMonitorSetBeforeAreSaidToBeOlder) {
  SyntheticTrace trace;
  trace.amd().set_regs(with(long_mode(0x100000), {{"idt.limit", 0}}));
  trace.out(0x3f8, {'a'}).shutdown().regs(kResetValues);
  const std::string said = Explained(trace).all_said("triple-fault");
  EXPECT_THAT(said, HasSubstr("last seen in 64-bit long mode"));
  EXPECT_THAT(said, HasSubstr("cannot know"));
}

TEST(TripleFault, IsNotWhatAnOrdinaryHaltIs) {
  SyntheticTrace trace = linux_guest();
  trace.hlt(true);
  EXPECT_FALSE(Explained(trace).found("triple-fault"));
}

TEST(ResetRequested, ComesBeforeTheTripleFaultThatLinuxEndsWith) {
  SyntheticTrace trace = linux_guest();
  trace.out(0x64, {0xfe}).shutdown().regs(with(long_mode(0xffffffff81000000), {{"idt.limit", 0}}));
  const Explained explained(trace);
  EXPECT_EQ(explained.first(), "reset-requested");
  EXPECT_THAT(explained.causes(), Contains("triple-fault"));
  EXPECT_EQ(explained.of("reset-requested").evidence.front(), (Place{0, 2}));
}

TEST(ResetRequested, IsNotWhatWasWrittenLongBefore) {
  SyntheticTrace trace = linux_guest();
  trace.out(0x64, {0xfe})
      .wait_ns(60'000'000'000)
      .out(0x80, {1})
      .shutdown()
      .regs(long_mode(1 << 20));
  EXPECT_FALSE(Explained(trace).found("reset-requested"));
}

TEST(ResetRequested, IsNoOrdinaryKeyboardCommand) {
  SyntheticTrace trace = linux_guest();
  trace.out(0x64, {0xad}).shutdown().regs(long_mode(1 << 20));
  EXPECT_FALSE(Explained(trace).found("reset-requested"));
}

TEST(GuestPanic, ComesBeforeHowTheGuestEnded) {
  SyntheticTrace trace;
  trace.intel().console("[    1.2] Kernel panic - not syncing: VFS: Unable to mount root fs\n");
  trace.out(0x64, {0xfe}).shutdown().regs(with(long_mode(0xffffffff81000000), {{"idt.limit", 0}}));
  const Explained explained(trace);
  EXPECT_EQ(explained.first(), "guest-panic");
  EXPECT_THAT(explained.of("guest-panic").title, HasSubstr("Unable to mount root fs"));
}

TEST(GuestPanic, IsFoundBetweenReadsOfTheLineStatus) {
  SyntheticTrace trace;
  for (const char character : std::string("\nKernel panic - not syncing: Fatal exception\n"))
    trace.in(0x3fd, {0x60}).out(0x3f8, {static_cast<uint8_t>(character)});
  trace.hlt(false);
  EXPECT_EQ(Explained(trace).first(), "guest-panic");
}

TEST(GuestPanic, EvidenceIsTheExitThatBeganTheLine) {
  SyntheticTrace trace;
  trace.intel().console("booting\nKernel panic - not syncing: x\nmore\n").hlt(true);
  EXPECT_EQ(Explained(trace).of("guest-panic").evidence.front(), (Place{0, 8}));
}

TEST(GuestPanic, IsFoundOnTheConsoleThatWasNotWrittenToLast) {
  SyntheticTrace trace;
  trace.intel().console("Kernel panic - not syncing: x\n").console("firmware is back\n", 0x402);
  EXPECT_EQ(Explained(trace).first(), "guest-panic");
}

TEST(GuestPanic, EndsOfInterruptsAreNoText) {
  SyntheticTrace trace;
  trace.intel();
  for (int i = 0; i < 100; ++i) trace.out(0x20, {0x20});
  EXPECT_TRUE(Explained(trace).explanation().all->console.all().empty());
}

TEST(GuestPanic, IsNotFoundInTalkOfPanics) {
  SyntheticTrace trace;
  trace.intel().console("Command line: panic=1 console=ttyS0 oops=panic\n").hlt(true);
  EXPECT_THAT(Explained(trace).causes(), IsEmpty());
}

TEST(JumpAstray, NamesTheNullPointer) {
  SyntheticTrace trace = linux_guest();
  trace.shutdown().regs(long_mode(0x0));
  const Explained explained(trace);
  EXPECT_EQ(explained.first(), "jump-astray");
  EXPECT_THAT(explained.causes(), Contains("triple-fault"));
}

TEST(JumpAstray, IsToldByTheFaultOfFetchingWhateverTheSlotsAre) {
  SyntheticTrace trace = linux_guest();
  trace.shutdown().regs(with(long_mode(0x7f0012345678), {{"cr2", 0x7f0012345678}}));
  const Explained explained(trace);
  EXPECT_EQ(explained.first(), "jump-astray");
  EXPECT_THAT(explained.of("jump-astray").title, HasSubstr("where nothing is mapped"));
}

TEST(JumpAstray, IsNoProcessThatRunsInTheLowerHalf) {
  SyntheticTrace trace = linux_guest();
  trace.shutdown().regs(with(long_mode(0x7f0012345678), {{"cr2", 0x7ffe00001000}}));
  EXPECT_FALSE(Explained(trace).found("jump-astray"));
}

TEST(JumpAstray, NamesTheTableThatIsExecuted) {
  SyntheticTrace trace = linux_guest();
  trace.shutdown().regs(
      with(long_mode(0x5008), {{"gdt.base", 0x5000}, {"gdt.limit", 0x7f}, {"idt.limit", 0}}));
  EXPECT_THAT(Explained(trace).of("jump-astray").title, HasSubstr("executes its own GDT"));
}

TEST(JumpAstray, ComesBeforeTheEmulationThatFailedThere) {
  SyntheticTrace trace;
  trace.intel().memory(0, 0x100000);
  trace.emulation_failure({}, 48, 0x184, 0)
      .regs(with(long_mode(0xd0000000), {{"cr0", 0x11}, {"efer", 0}, {"cs.l", 0}, {"cs.db", 1}}));
  const Explained explained(trace);
  EXPECT_EQ(explained.first(), "jump-astray");
  EXPECT_THAT(explained.of("jump-astray").title, HasSubstr("0xd0000000"));
}

TEST(JumpAstray, IsNoKernelAddressThatOnlyLooksFar) {
  SyntheticTrace trace = linux_guest();
  trace.shutdown().regs(long_mode(0xffffffff81000000));
  EXPECT_FALSE(Explained(trace).found("jump-astray"));
}

TEST(EmulationFailure, NamesInstructionAndTargetOnAmd) {
  SyntheticTrace trace;
  trace.amd().memory(0, 0x8000000);
  trace.emulation_failure(kAddps, 0x400, 0xf, 0xfee00000).regs(long_mode(0xffffffff81000000));
  const Explained explained(trace);
  EXPECT_EQ(explained.first(), "emulation-failure");
  const std::string said = explained.all_said("emulation-failure");
  EXPECT_THAT(said, HasSubstr("addps xmm0"));
  EXPECT_THAT(said, HasSubstr("0xfee00000"));
}

TEST(EmulationFailure, OfAWriteIntoReadOnlyMemorySaysSo) {
  SyntheticTrace trace;
  trace.amd().memory(0, 0x8000000).memory(0xfffc0000, 0x40000, 2);
  trace.emulation_failure(kAddps, 0x400, 0xf, 0xfffc0010).regs(long_mode(0xffffffff81000000));
  EXPECT_THAT(Explained(trace).all_said("emulation-failure"), HasSubstr("read-only memory slot"));
}

// VMX does not say which address: what `explain` says of this instruction, and these registers.
std::string said_on_intel(const std::vector<uint8_t>& instruction,
                          const NamedRegisters& registers) {
  SyntheticTrace trace;
  trace.intel().memory(0, 0x8000000);
  trace.emulation_failure(instruction, 48, 0, 0).regs(with(long_mode(0x1000000), registers));
  return Explained(trace).all_said("emulation-failure");
}

TEST(EmulationFailure, NamesTheAddressThatTheOperandsAndRegistersMake) {
  const struct {
    std::vector<uint8_t> instruction;
    NamedRegisters registers;
    std::string address;
  } kCases[] = {
      {kAddps, {{"rbx", 0xd0000000}}, "0xd0000000"},
      {{0x0f, 0x58, 0x44, 0x8b, 0xf0}, {{"rbx", 0xd0000000}, {"rcx", 8}}, "0xd0000010"},
      {{0x0f, 0x58, 0x05, 0x01, 0, 0, 0x70}, {}, "0x71000008"},
      {{0x65, 0x0f, 0x58, 0x04, 0x25, 0x28, 0, 0, 0}, {{"gs.base", 0xd0000000}}, "0xd0000028"},
      {{0xa4}, {{"rdi", 0x2000}, {"rsi", 0xd0000000}}, "0xd0000000"},
  };
  for (const auto& one : kCases)
    EXPECT_THAT(said_on_intel(one.instruction, one.registers),
                HasSubstr("without memory at guest physical " + one.address + ":"));
}

TEST(EmulationFailure, NamesNoAddressThatTheInstructionOnlyComputes) {
  EXPECT_THAT(said_on_intel({0x48, 0x8d, 0x43, 0x10}, {{"rbx", 0xd0000000}}),
              Not(HasSubstr("0xd0000010")));
}

TEST(EmulationFailure, InRealModeWithoutUnrestrictedGuestIsTheProcessors) {
  SyntheticTrace trace;
  trace.intel().fact("kvm_intel.unrestricted_guest", "N");
  trace.emulation_failure({0x0f, 0xae, 0x07}, 33, 0, 0).regs(real_mode(0x7c00));
  EXPECT_THAT(Explained(trace).all_said("emulation-failure"), HasSubstr("no unrestricted guest"));
}

TEST(EmulationFailure, WithoutRegistersSaysThatTheWidthIsNotKnown) {
  SyntheticTrace trace;
  trace.intel().emulation_failure(kAddps, 48, 0, 0).registers_not_taken();
  EXPECT_THAT(Explained(trace).all_said("emulation-failure"), HasSubstr("read as 64-bit code"));
}

TEST(EmulationFailure, WhoseBytesCannotBeBelievedSaysWhyAndNotThatThereAreNone) {
  SyntheticTrace trace;
  trace.intel().emulation_failure(std::vector<uint8_t>(16), 48, 0, 0).registers_not_taken();
  const std::string said = Explained(trace).all_said("emulation-failure");
  EXPECT_THAT(said, HasSubstr("emulation_failure.insn_size is more than 15"));
  EXPECT_THAT(said, Not(HasSubstr("does not hand it over")));
}

TEST(EmulationFailure, IsNotWhatAnotherSuberrorSays) {
  SyntheticTrace trace;
  trace.intel().internal_error(3, {0x80000b0e, 48, 0, 0});
  const Explained explained(trace);
  EXPECT_EQ(explained.first(), "delivery-event");
  EXPECT_FALSE(explained.found("emulation-failure"));
}

TEST(DeliveryEvent, NamesEventAndExit) {
  SyntheticTrace trace = linux_guest();
  trace.internal_error(3, {0x80000b0e, 49, 0, 0xd0000000, 1}).regs(long_mode(0xffffffff81000000));
  const std::string said = Explained(trace).all_said("delivery-event");
  EXPECT_THAT(said, HasSubstr("#PF"));
  EXPECT_THAT(said, HasSubstr("EXIT_REASON_EPT_MISCONFIG"));
  EXPECT_THAT(said, HasSubstr("0xd0000000 is in no memory slot"));
}

TEST(VmxEntryFailure, NamesTheCheckThatFails) {
  SyntheticTrace trace = linux_guest();
  trace.fail_entry(0x80000021).regs(with(long_mode(0xffffffff81000000), {{"cs.db", 1}}));
  const Explained explained(trace);
  EXPECT_EQ(explained.first(), "vmx-entry-failure");
  EXPECT_THAT(explained.of("vmx-entry-failure").title, HasSubstr("CS has both L and D"));
}

TEST(VmxEntryFailure, OfASoundGuestNamesNoCheck) {
  SyntheticTrace trace = linux_guest();
  trace.fail_entry(0x80000021).regs(long_mode(0xffffffff81000000));
  const std::string said = Explained(trace).all_said("vmx-entry-failure");
  EXPECT_THAT(said, HasSubstr("none of the checks"));
}

TEST(VmxEntryFailure, OfSoundRealModeNamesNoCheck) {
  SyntheticTrace trace = linux_guest();
  trace.fail_entry(0x80000021).regs(real_mode(0x7c00));
  EXPECT_THAT(Explained(trace).all_said("vmx-entry-failure"), HasSubstr("none of the checks"));
}

TEST(VmxEntryFailure, OfTheControlsIsNotTheGuests) {
  SyntheticTrace trace = linux_guest();
  trace.fail_entry(7).regs(long_mode(0xffffffff81000000));
  EXPECT_THAT(Explained(trace).all_said("vmx-entry-failure"), HasSubstr("not the guest"));
}

TEST(VmxEntryFailure, IsNotOfAnAmdHost) {
  SyntheticTrace trace;
  trace.amd().fail_entry(0xffffffffffffffff);
  EXPECT_FALSE(Explained(trace).found("vmx-entry-failure"));
}

TEST(Explain, FindsNothingInAHealthyGuest) {
  SyntheticTrace trace = linux_guest();
  trace.console("Welcome to Debian\n").hlt(true).interrupted().hlt(true);
  const Explained explained(trace);
  EXPECT_THAT(explained.causes(), IsEmpty());
  EXPECT_EQ(explained.explanation().all->crash, nullptr);
}

}  // namespace
}  // namespace kvmtape::testing
