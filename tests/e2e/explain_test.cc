// `kvmtape explain` as a script and as a person use it: the document, the report, exit statuses.
#include <gmock/gmock.h>

#include <string>

#include "tests/support/arm64_registers.h"
#include "tests/support/run_tool.h"
#include "tests/support/synthetic_trace.h"

namespace kvmtape::testing {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

class ExplainVerb : public ::testing::Test {
 protected:
  std::string dead() {
    SyntheticTrace trace;
    trace.intel()
        .memory(0, 0x8000000)
        .out(0x80, {1})
        .on(1)
        .hlt(true)
        .on(0)
        .console("\x1b[31mhello\n");
    trace.shutdown().regs(with(long_mode(0xffffffff81000000), {{"idt.limit", 0}}));
    return trace.write_to(tool.file("dead.kvmtape"));
  }
  std::string healthy() {
    SyntheticTrace trace;
    trace.intel().out(0x80, {1}).hlt(true);
    return trace.write_to(tool.file("healthy.kvmtape"));
  }
  Tool tool;
};

TEST_F(ExplainVerb, JsonHasTheShapeThatScriptsRelyOn) {
  const auto document = tool.run("explain --json " + dead()).json();
  EXPECT_EQ(document["kvmtape_json"], 1);
  EXPECT_TRUE(document["session"].is_object());
  EXPECT_EQ(document["crash"]["name"], "KVM_EXIT_SHUTDOWN");
  EXPECT_EQ(document["crash"]["registers"]["kvm_regs"]["status"], "taken");
  EXPECT_EQ(document["crash"]["guest_registers"]["values"]["rip"], "0xffffffff81000000");
  const auto& cause = document["causes"][0];
  EXPECT_EQ(cause["rule"], "triple-fault");
  EXPECT_TRUE(cause["confidence"].is_number());
  EXPECT_EQ(cause["evidence"][0], "0:12");
  EXPECT_TRUE(cause["next"].is_string() && cause["title"].is_string() &&
              cause["change"].is_string());
  const auto& history = document["history"];
  EXPECT_EQ(history.back()["seq"], 12);
  EXPECT_EQ(history.front()["vcpu"], 0);
}

// The recorder puts core and system registers into one record, the debug registers into another.
TEST_F(ExplainVerb, AnArm64CrashHasTheRegistersOfAllItsRecords) {
  constexpr uint64_t kPc = 0x6030000000100040;
  SyntheticTrace trace;
  trace.arm64("6.12.0").nisv(0x46, 0x9000040);
  trace.one_regs({{kPc, 0x40001000}, {kEsrEl1, 0x96000010}}).one_regs({{kMdscr, 0x2000}});
  const std::string path = trace.write_to(tool.file("nisv.kvmtape"));
  const auto crash = tool.run("explain --json " + path).json()["crash"];
  const auto& values = crash["guest_registers"]["values"];
  EXPECT_EQ(values["PC"], "0x40001000");
  EXPECT_EQ(values["ESR_EL1"], "0x96000010");
  EXPECT_EQ(values["MDSCR_EL1"], "0x2000");
  const std::string text = tool.run("explain " + path).out;
  EXPECT_THAT(text, HasSubstr("the instruction stands at 0x40001000"));
  EXPECT_THAT(text, HasSubstr("last exception to EL1: ESR_EL1 0x96000010 (data abort"));
  EXPECT_THAT(text, Not(HasSubstr("MDSCR_EL1"))) << "-v shows every register";
  const std::string line = tool.run("dump --json " + path).out;
  EXPECT_EQ(line.find("kvm_one_reg"), line.rfind("kvm_one_reg")) << "a key twice in one object";
}

TEST_F(ExplainVerb, OfACrashExitThatTheVcpuSurvivedDoesNotSayThatItEnded) {
  SyntheticTrace survived, ended;
  for (SyntheticTrace* trace : {&survived, &ended}) trace->intel().out(0x80, {1}).exit(1);
  survived.out(0x80, {2}).hlt(true);
  const std::string on = tool.run("explain " + survived.write_to(tool.file("s.kvmtape"))).out;
  EXPECT_THAT(on, HasSubstr("KVM_EXIT_EXCEPTION at 0:1, and the vCPU went on; nothing that a guest "
                            "dies of was found"));
  EXPECT_THAT(on, Not(HasSubstr("ended with")));
  EXPECT_THAT(tool.run("explain " + ended.write_to(tool.file("e.kvmtape"))).out,
              HasSubstr("ended with KVM_EXIT_EXCEPTION at 0:1; no rule knows why"));
}

TEST_F(ExplainVerb, OfAFailureThatTheVcpuSurvivedNamesTheError) {
  SyntheticTrace trace;
  trace.intel().failed(22).out(0x80, {1}).hlt(true);
  EXPECT_THAT(tool.run("explain " + trace.write_to(tool.file("failed.kvmtape"))).out,
              HasSubstr("KVM_RUN failed with EINVAL at 0:0, and the vCPU went on"));
}

TEST_F(ExplainVerb, EvidenceThatTheHistoryLacksIsShownWhereItIsNamed) {
  SyntheticTrace trace;
  trace.arm64().on(0).mmio_write(0x9000000, {'x', 0, 0, 0}).failed(38);
  trace.on(1).nisv(0x6, 0xa000000).set_events({0, 0, 1}).mmio_write(0x9000000, {'y', 0, 0, 0});
  const std::string text = tool.run("explain " + trace.write_to(tool.file("e.kvmtape"))).out;
  EXPECT_THAT(text, ::testing::ContainsRegex("evidence: 1:0\n       1:0 .*KVM_EXIT_ARM_NISV"));
}

TEST_F(ExplainVerb, ALineOfTheConsoleThatNeverEndsIsCut) {
  SyntheticTrace trace;
  trace.intel().console("first" + std::string(5'000, 'B') + "last").hlt(true);
  const std::string text = tool.run("explain " + trace.write_to(tool.file("long.kvmtape"))).out;
  EXPECT_THAT(text, HasSubstr(" more characters] "));
  EXPECT_THAT(text, HasSubstr("BBBlast"));
  EXPECT_THAT(text, Not(HasSubstr(std::string(500, 'B'))));
}

// The vCPU that feeds a watchdog may not be the one that is looked at.
TEST_F(ExplainVerb, OneVcpuDoesNotSayWhetherTheWatchdogWasFed) {
  SyntheticTrace trace;
  trace.intel().out(0x443, {0xa});
  for (int i = 0; i < 3; ++i) trace.on(1).wait_ns(8'000'000'000).out(0x443, {0xa});
  trace.on(0).hlt(true);
  const std::string path = trace.write_to(tool.file("fed.kvmtape"));
  for (const char* selection : {"", "--vcpu 0 "})
    EXPECT_EQ(tool.run(std::string("explain --fail-on watchdog ") + selection + path).status, 0);
}

TEST_F(ExplainVerb, InjectionsIntoAnotherVmAreNotInTheHistory) {
  SyntheticTrace trace;
  trace.arm64("6.12.0");
  for (const uint32_t vcpu : {0u, 1u, 2u}) {
    trace.new_vm().on(vcpu).mmio_write(0x9000000, {'x', 0, 0, 0});
    if (vcpu != 1) trace.set_events({0, 0, 1});
    trace.mmio_write(0x9000000, {'y', 0, 0, 0});
  }
  const std::string path = trace.write_to(tool.file("vms.kvmtape"));
  EXPECT_THAT(tool.run("explain --vcpu 0 " + path).out, HasSubstr("injected"));
  EXPECT_THAT(tool.run("explain --vcpu 1 " + path).out, Not(HasSubstr("injected")));
}

TEST_F(ExplainVerb, TheFirstLineNamesTheFirstNoteWhereThereIsNoCause) {
  SyntheticTrace trace;
  trace.intel().out(0x80, {1}).wait_ns(50'000'000'000);
  const ToolRun run = tool.run("explain " + trace.write_to(tool.file("silent.kvmtape")));
  EXPECT_THAT(run.out, HasSubstr("silent.kvmtape: nothing that a guest dies of was found; noted: "
                                 "No vCPU left the guest for 50 s at the end\n"));
}

TEST_F(ExplainVerb, AHealthyGuestHasNoCauseAndNoCrash) {
  const ToolRun run = tool.run("explain --json " + healthy());
  EXPECT_EQ(run.status, 0) << run.err;
  EXPECT_TRUE(run.json()["crash"].is_null());
  EXPECT_TRUE(run.json()["causes"].empty());
}

TEST_F(ExplainVerb, TheReportSaysWhatWhyAndWhatLedThere) {
  const ToolRun run = tool.run("explain " + dead());
  EXPECT_EQ(run.status, 0) << run.err;
  for (const char* part : {"What\n", "Why\n", "What led there\n", "evidence: 0:12",
                           "check: ", "the IDT is empty", "64-bit long mode", "1:0"})
    EXPECT_THAT(run.out, HasSubstr(part));
  EXPECT_THAT(run.out, Not(HasSubstr("\x1b"))) << "nothing of a guest steers a terminal";
}

TEST_F(ExplainVerb, FailOnDecidesTheStatus) {
  const std::string trace = dead(), well = healthy();
  EXPECT_EQ(tool.run("explain --fail-on any " + trace).status, 1);
  EXPECT_EQ(tool.run("explain --fail-on triple-fault " + trace).status, 1);
  EXPECT_EQ(tool.run("explain --fail-on emulation-failure,serror " + trace).status, 0);
  EXPECT_EQ(tool.run("explain --fail-on any " + well).status, 0);
}

TEST_F(ExplainVerb, ARuleThatDoesNotExistIsAMistake) {
  const ToolRun run = tool.run("explain --fail-on triple-falt " + dead());
  EXPECT_EQ(run.status, 2);
  EXPECT_THAT(run.err, HasSubstr("did you mean triple-fault?"));
}

TEST_F(ExplainVerb, AnUnsealedRecordingIsExplainedAndSaysWhatIsMissing) {
  SyntheticTrace trace;
  trace.intel().out(0x80, {1}).shutdown().regs(with(long_mode(1 << 20), {{"idt.limit", 0}}));
  const std::string path = trace.write_unsealed_to(tool.file("cut.kvmtape"));
  const ToolRun run = tool.run("explain " + path);
  EXPECT_EQ(run.status, 3);
  EXPECT_THAT(run.out, HasSubstr("the IDT is empty"));
  EXPECT_THAT(run.err, Not(IsEmpty()));
  EXPECT_EQ(tool.run("explain --fail-on any " + path).status, 1);
}

TEST_F(ExplainVerb, SequenceNumbersChooseAnEarlierEnd) {
  SyntheticTrace trace;
  trace.intel().shutdown().regs(with(long_mode(1 << 20), {{"idt.limit", 0}}));
  for (uint8_t i = 0; i < 40; ++i) trace.out(0x80, {i}).out(0x81, {i});
  trace.internal_error(4, {77, 1});
  const std::string path = trace.write_to(tool.file("twice.kvmtape"));
  EXPECT_EQ(tool.run("explain --json " + path).json()["causes"][0]["rule"],
            "unexpected-exit-reason");
  EXPECT_EQ(tool.run("explain --json --seq 0-0 " + path).json()["causes"][0]["rule"],
            "triple-fault");
}

// QEMU on this machine's KVM: a Debian kernel that meets an INT3 which that KVM cannot emulate, and
// firmware that triple-faults. No registers were recorded then, which is said.
TEST_F(ExplainVerb, RealGuestsUnderQemuHaveTheirCauseFirst) {
  const std::string streams = KVMTAPE_SOURCE_DIR "/traces/streams/";
  const auto explained = [&](const std::string& name) {
    const std::string trace = tool.file(name + ".kvmtape");
    const ToolRun imported = tool.run("import --format raw-stream --arch x86_64 --kernel 6.18 -o " +
                                      trace + " " + streams + name + ".raw.zst");
    EXPECT_EQ(imported.status, 0) << imported.err;
    return tool.run("explain --json " + trace).json();
  };
  const auto linux_boot = explained("linux_boot");
  ASSERT_EQ(linux_boot["causes"].size(), 1u) << linux_boot["causes"];
  EXPECT_EQ(linux_boot["causes"][0]["rule"], "emulation-failure");
  EXPECT_THAT(linux_boot["causes"][0]["title"].get<std::string>(), HasSubstr("int3"));
  EXPECT_THAT(linux_boot["consoles"].back()["tail"].get<std::string>(), HasSubstr("x86/fpu"));
  const auto firmware = explained("ipxe_virtio");
  ASSERT_EQ(firmware["causes"].size(), 1u) << firmware["causes"];
  EXPECT_EQ(firmware["causes"][0]["rule"], "triple-fault");
  EXPECT_THAT(firmware["causes"][0]["title"].get<std::string>(), HasSubstr("cannot be known"));
}

// Forty guests that have nothing to do with each other: what one died of is not why they all ended.
TEST_F(ExplainVerb, ARecordingOfTheProbeIsExplainedGuestByGuest) {
  const std::string golden = KVMTAPE_SOURCE_DIR "/traces/probe-x86_64-6.18.kvmtape";
  const ToolRun run = tool.run("explain " + golden);
  EXPECT_EQ(run.status, 0) << run.err;
  EXPECT_THAT(run.out, HasSubstr("the battery of kvmtape probe: 39 guests"));
  EXPECT_THAT(run.out, HasSubstr("  14       shutdown                 Triple fault"));
  EXPECT_THAT(run.out, HasSubstr("fetch_from_mmio          The guest jumped to 0xd0000000"));
  EXPECT_THAT(run.out, Not(HasSubstr("io_out")));
  EXPECT_THAT(run.out, HasSubstr("\nexplain one: kvmtape explain --vcpu 14 "));
  EXPECT_THAT(tool.run("explain --vcpu 14 " + golden).out, HasSubstr("\nWhat led there\n"));
  const auto guests = tool.run("explain --json " + golden).json()["guests"];
  EXPECT_EQ(guests.size(), 39u);
  EXPECT_EQ(guests[0]["name"], "io_out");
  EXPECT_TRUE(guests[0]["causes"].empty());
}

TEST_F(ExplainVerb, RulesAreListed) {
  const ToolRun run = tool.run("explain --rules");
  EXPECT_EQ(run.status, 0);
  EXPECT_THAT(run.out, HasSubstr("triple-fault "));
}

}  // namespace
}  // namespace kvmtape::testing
