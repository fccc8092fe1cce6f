// `kvmtape record` on real monitors: a small one of the tests' own, by every way in which monitors
// reach KVM, and Debian's QEMU. What the monitor prints and its status are the same as without, and
// what it counted is what was recorded. Skipped, by name and reason, where KVM or QEMU is missing.
#include <fcntl.h>
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <signal.h>
#include <stddef.h>
#include <unistd.h>

#include <filesystem>
#include <string>

#include "recorder/ring/record_control.h"
#include "schema/base/unique_fd.h"
#include "tests/support/run_tool.h"
#include "tests/support/shell.h"
#include "tests/support/small_file_system.h"

namespace kvmtape::testing {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

const std::string kMonitor = KVMTAPE_SMALL_MONITOR;
const std::string kQemu =
    "qemu-system-x86_64 -accel kvm -display none -nodefaults -serial none -no-reboot ";
constexpr uint64_t kExits = 500;

// For a shell under `record`, within single quotes: waits for what is to happen, two minutes and
// more, however slow the machine.
std::string until(const std::string& condition, const std::string& meanwhile = "sleep 0.05") {
  std::string told = condition;
  std::erase_if(told, [](char c) { return c == '"' || c == '\\' || c == '$'; });
  return "n=0; until " + condition + "; do " + meanwhile +
         "; n=$((n + 1)); if [ $n -ge 2400 ]; then echo \"in vain until " + told +
         "\" >&2; break; fi; done; ";
}
std::string until_status_says(const std::string& pattern) {
  return until(KVMTAPE_BINARY_DIR "/kvmtape ctl --json $$ status | grep -qE \"" + pattern + "\"");
}
// Into the file, of vCPUs that have ended: the last of each waits for an answer until then.
std::string until_written(uint64_t exits) {
  return until_status_says(fmt::format(R"(\"exits\":{},.*\"rings\":\[\])", exits));
}
// On the recorder's standard error, which is a file where it was started (Tool::run).
std::string until_recorder_says(const std::string& pattern) {
  return until("grep -qE \"" + pattern + "\" stderr");
}

// Without a moment in which the file is gone and the recorder may make another.
std::string remove_at_once(const std::string& directory) {
  return "mv " + directory + " " + directory + ".old; rm -r " + directory + ".old; ";
}

class RecordTest : public ::testing::Test {
 protected:
  void SetUp() override {
    if (!UniqueFd(::open("/dev/kvm", O_RDWR | O_CLOEXEC)).valid())
      GTEST_SKIP() << "/dev/kvm cannot be opened";
  }
  ToolRun record(const std::string& command, const std::string& options = {}) {
    return tool.run("record --force -o " + trace + " " + options + " -- " + command);
  }
  nlohmann::json totals() { return tool.run("info --json " + trace).json()["totals"]; }
  ToolRun dump(const std::string& options) { return tool.run("dump " + options + " " + trace); }

  Tool tool;
  const std::string trace = tool.file("t.kvmtape");
};

class EveryWay : public RecordTest, public ::testing::WithParamInterface<const char*> {};

TEST_P(EveryWay, TheMonitorPrintsAndReturnsTheSameAndItsExitsAreInTheTrace) {
  const std::string way = GetParam();
  const std::string command = kMonitor + " " + way + " " + std::to_string(kExits);
  // A shell's pipe is read to its end, which a daemon too holds open.
  const ShellRun plain = shell(command);
  const ToolRun recorded = record(command);
  EXPECT_EQ(recorded.out, plain.out);
  EXPECT_EQ(recorded.status, plain.status) << recorded.err;
  const bool has_two = way.starts_with("two-") || way.starts_with("unseen-") || way == "vfork";
  const uint64_t vcpus = has_two ? 2 : 1;
  // The child's one KVM_RUN, refused, is a recording of its own.
  const uint64_t refused = way == "fork" ? 1 : 0;
  EXPECT_EQ(totals()["exits"], vcpus * (kExits + 1) + refused);
  EXPECT_EQ(totals()["lost"], 0);
  EXPECT_EQ(tool.run("verify " + trace).status, 0);
  // Of each the guest's bytes, counted up: no vCPU has another one's kvm_run.
  for (uint64_t vcpu = 0; has_two && vcpu < vcpus; ++vcpu)
    for (const uint64_t seq : {uint64_t{0}, uint64_t{77}, kExits - 1})
      EXPECT_THAT(dump(fmt::format("--vcpu {} --seq {}", vcpu, seq)).out,
                  HasSubstr(fmt::format("port 0x10 1 byte {:#x}\n", seq & 0xff)));
}
INSTANTIATE_TEST_SUITE_P(Ways, EveryWay,
                         ::testing::Values("plain", "by-number", "signed-request", "copied",
                                           "two-vcpus", "two-vms", "unseen-maps", "unseen-copies",
                                           "vfork", "fork", "filter", "early-filter",
                                           "cloud-hypervisor", "daemon", "killed", "crash",
                                           "triple-fault"),
                         [](const auto& way) {
                           std::string name = way.param;
                           std::erase(name, '-');
                           return name;
                         });

TEST_F(RecordTest, WhereAFilterForbidsAllPreparationExitsAreCounted) {
  const std::string command = kMonitor + " filter-first 50";
  const ToolRun recorded = record(command);
  EXPECT_EQ(recorded.out, shell(command).out);
  EXPECT_EQ(recorded.status, 7) << recorded.err;
  EXPECT_EQ(totals()["exits"], 0);
  EXPECT_EQ(totals()["lost"], 51);
}

// What those forbid cannot be asked.
TEST_F(RecordTest, UnderFiltersThatWereThereBeforeItExitsAreCounted) {
  const std::string command = kMonitor + " started-filtered 50";
  const ToolRun recorded = record(command);
  EXPECT_EQ(recorded.out, shell(command).out);
  EXPECT_EQ(recorded.status, 7) << recorded.err;
  EXPECT_EQ(totals()["lost"], 51);
  EXPECT_THAT(recorded.err, HasSubstr("filters that the monitor was started under"));
  // Those that `record` has itself let it ask.
  const std::string recorder = KVMTAPE_BINARY_DIR "/kvmtape record --force -o " + trace + " -- ";
  EXPECT_EQ(shell(kMonitor + " runs-filtered '" + recorder + kMonitor + " plain 50'").status, 7);
  EXPECT_EQ(totals()["exits"], 51);
}

TEST_F(RecordTest, ASignalForTheMonitorGoesToIt) {
  EXPECT_EQ(record("sh -c 'trap \"echo heard; exit 5\" USR1; kill -USR1 $PPID; sleep 9; :'").status,
            5);
}

TEST_F(RecordTest, ThatClosedPipesAreIgnoredIsInherited) {
  const std::string ask = "grep SigIgn /proc/self/status";
  const std::string by_record =
      KVMTAPE_BINARY_DIR "/kvmtape record -o " + trace + " --force -- " + ask + " 2>/dev/null";
  for (const std::string before : {"trap '' PIPE; ", "trap - PIPE; "})
    EXPECT_EQ(shell(before + by_record).out, shell(before + ask).out) << before;
}

TEST_F(RecordTest, ACrashBringsItsRegisters) {
  record(kMonitor + " crash 3");
  const auto lines = dump("--json --tail 1").json_lines();
  EXPECT_EQ(lines.back()["name"], "KVM_EXIT_INTERNAL_ERROR");
  EXPECT_TRUE(lines.back()["registers"].is_object()) << lines.back();
}

#if defined(__x86_64__)
nlohmann::json slice_of(const nlohmann::json& exit, const std::string& of) {
  for (const auto& slice : exit["memory"])
    if (slice["of"] == of) return slice;
  return nullptr;
}

// A crashed vCPU waits 50 ms for the recorder, which the machine may hold up for longer: here, by
// what is put into RecordControl, 2^36 ticks, half a minute and more.
std::string crash(const std::string& way, const std::string& then = {}) {
  return fmt::format(
      "sh -c 'cd $KVMTAPE_RECORD_DIRECTORY && test -s {0} && "
      "printf \"\\377\\377\\377\\377\\017\" | dd of={0} bs=1 seek={1} conv=notrunc status=none; "
      "cd - >/dev/null; {2} {3} 3; {4}'",
      kRecordControlFile, offsetof(RecordControl, crash_wait_ticks), kMonitor, way, then);
}

TEST_F(RecordTest, ACrashBringsTheMemoryAtItsPointersThoughTheMonitorEndsAtOnce) {
  record(crash("triple-fault"));
  const auto exit = dump("--json --tail 1").json_lines().back();
  EXPECT_EQ(exit["name"], "KVM_EXIT_SHUTDOWN");
  const auto code = slice_of(exit, "instruction");
  EXPECT_EQ(code["guest_virtual"], "0x100e");
  EXPECT_EQ(code["guest_physical"], "0x100e");
  EXPECT_EQ(code["instructions"][0], "ud2");
  EXPECT_EQ(slice_of(exit, "before instruction")["bytes"],
            std::string(100, '0') + "66b903000000e610fec0664975f8");
  EXPECT_EQ(slice_of(exit, "stack")["bytes"], std::string(512, '0'));
  EXPECT_THAT(dump("").out, HasSubstr("at rip 0x100e (physical 0x100e): 0f 0b 00 00"));
}

TEST_F(RecordTest, EachSnapshotOfAFlightRecorderThatHasTheCrashBringsItsMemory) {
  record(crash("triple-fault", KVMTAPE_BINARY_DIR "/kvmtape ctl $$ snapshot"),
         "--flight 1M --trigger crash");
  for (const std::string& snapshot : {trace, tool.file("t.2.kvmtape")}) {
    const auto lines = tool.run("dump --json --tail 1 " + snapshot).json_lines();
    ASSERT_FALSE(lines.empty()) << snapshot;
    const auto exit = lines.back();
    EXPECT_EQ(exit["name"], "KVM_EXIT_SHUTDOWN") << snapshot;
    EXPECT_EQ(slice_of(exit, "instruction")["instructions"][0], "ud2") << snapshot;
    EXPECT_EQ(slice_of(exit, "stack")["bytes"], std::string(512, '0')) << snapshot;
  }
}

TEST_F(RecordTest, ExplainNamesWhatKilledTheGuest) {
  record(crash("triple-fault"));
  const auto fault = tool.run("explain --json " + trace).json();
  EXPECT_EQ(fault["causes"][0]["rule"], "triple-fault");
  EXPECT_THAT(fault["causes"][0]["title"].get<std::string>(), HasSubstr("the IDT is empty"));
  EXPECT_FALSE(fault["crash"]["memory"].empty());
  record(crash("crash"));
  const auto astray = tool.run("explain --json " + trace).json();
  EXPECT_EQ(astray["causes"][0]["rule"], "jump-astray") << astray["causes"];
}

TEST_F(RecordTest, RedactionTakesTheMemoryAway) {
  record(crash("triple-fault"));
  for (const std::string profile : {"payload", "regs", "strict"}) {
    const std::string to = tool.file(profile);
    ASSERT_EQ(tool.run("redact --force --profile " + profile + " -o " + to + " " + trace).status,
              0);
    const auto exit = tool.run("dump --json --tail 1 " + to).json_lines().back();
    EXPECT_EQ(slice_of(exit, "instruction")["bytes"], "") << profile << exit;
    const bool has_pointers = profile == "payload";
    EXPECT_EQ(slice_of(exit, "stack")["guest_virtual"].is_null(), !has_pointers) << profile;
    EXPECT_EQ(slice_of(exit, "stack")["guest_physical"].is_null(), !has_pointers) << profile;
  }
}
#endif

TEST_F(RecordTest, StatLiveShowsWhatARecorderIsWritingAndDisturbsNothing) {
  const std::string tape = KVMTAPE_BINARY_DIR "/kvmtape", live = tool.file("live");
  const ShellRun run = shell(
      tape + " record -q --force -o " + trace + " -- " + kMonitor +
      " plain 4000000000 >/dev/null 2>&1 & r=$!; until [ -s " + trace +
      " ]; do sleep 0.05; done; " + tape + " stat --live --json --interval 100ms $r >" + live +
      " 2>&1 & s=$!; "
      "while kill -0 $s 2>/dev/null && ! grep -q KVM_EXIT_IO " +
      live +
      "; do sleep 0.05; done; "
      "kill -TERM $s; wait $s; echo live=$?; kill -KILL $(cat /proc/$r/task/$r/children); wait $r; "
      "head -c 100000 " +
      live);
  EXPECT_THAT(run.out, AllOf(HasSubstr("live=0"), HasSubstr(R"("exit":"KVM_EXIT_IO")")));
  // Some are lost where something holds the recorder up: of so many no ring takes all.
  EXPECT_EQ(tool.run("verify --json " + trace).json()["damaged"], 0);
}

TEST_F(RecordTest, AMonitorThatIsKilledLeavesASealedTrace) {
  const ToolRun run = record(kMonitor + " killed 50");
  EXPECT_EQ(run.status, 128 + SIGKILL);
  const ToolRun info = tool.run("info " + trace);
  EXPECT_EQ(info.status, 0);
  EXPECT_THAT(info.out, HasSubstr("), killed by SIGKILL\n"));
  EXPECT_EQ(totals()["exits"], 51);
  EXPECT_THAT(tool.run("explain " + trace).out, HasSubstr("The monitor was killed by SIGKILL"));
}

TEST_F(RecordTest, AKilledRecorderLeavesRingsThatTheReaderTakesAlong) {
  std::filesystem::create_directory(tool.file("rings"));
  const ShellRun run = shell("KVMTAPE_DIR=" + tool.file("d") +
                             " " KVMTAPE_BINARY_DIR "/kvmtape record -q --force --ring-dir " +
                             tool.file("rings") + " -o " + trace + " -- sh -c 'kill -STOP $PPID; " +
                             kMonitor + " plain 400; kill -KILL $PPID' 2>/dev/null");
  EXPECT_THAT(run.out, HasSubstr("exit2=400"));
  const auto read = tool.run("info --json " + trace).json()["totals"];
  EXPECT_EQ(read["exits"], 401);
  const ToolRun anew = record(kMonitor + " plain 10", "--force");
  EXPECT_THAT(anew.err, HasSubstr("no longer needed: rm -r -- " + tool.file("rings")))
      << "replaced";
}

TEST_F(RecordTest, StraceCountsAsManyKvmRunsAsWereRecorded) {
  if (shell("command -v strace").status != 0) GTEST_SKIP() << "strace is not installed";
  const std::string log = tool.file("strace");
  const ToolRun run =
      record("strace -f -X raw -e trace=ioctl -o " + log + " " + kMonitor + " two-vcpus 200");
  EXPECT_EQ(run.status, 7);
  // Two processors may end up writing a call's begin and end on two lines; only one has a number.
  const std::string counted = shell("grep -c 'ioctl(.*, 0xae80' " + log).out;
  EXPECT_EQ(totals()["exits"].dump() + "\n", counted);
}

TEST_F(RecordTest, TheMonitorIsWhoHasVcpusNotItsWrapper) {
  record("sh -c 'SMALL_MONITOR_LINGER=600 env nice " + kMonitor + " plain 10 & " +
         until_status_says("\\\"exits\\\":11,") + "kill $!; wait'");
  EXPECT_EQ(tool.run("info --json " + trace).json()["session"]["monitor"]["name"], "small_monitor");
}

TEST_F(RecordTest, TheLastLineOnStandardErrorCounts) {
  EXPECT_THAT(record(kMonitor + " plain 10").err,
              HasSubstr("[ kvmtape: " + trace + ": 11 exits, 1 vCPUs, 0 lost, "));
}

TEST_F(RecordTest, OtherPreloadedLibrariesStay) {
  const ToolRun run = tool.run("record --force -o " + trace + " -- sh -c 'echo $LD_PRELOAD'",
                               "LD_PRELOAD=libm.so.6");
  EXPECT_THAT(run.out, AllOf(HasSubstr("/libkvmtape_preload.so:libm.so.6")));
}

TEST_F(RecordTest, WhoIsPreloadedBehindStillSeesEveryCall) {
  const std::string count = tool.file("count");
  const ToolRun run = tool.run(
      "record --force -o " + trace + " -- " + kMonitor + " plain " + std::to_string(kExits),
      "LD_PRELOAD=" KVMTAPE_COUNTING_IOCTL " KVM_RUN_COUNT=" + count);
  EXPECT_EQ(totals()["exits"], kExits + 1) << run.err;
  EXPECT_EQ(shell("od -An -td8 " + count).out, fmt::format("{:21}\n", kExits + 1));
}

TEST_F(RecordTest, AnInterruptGoesToTheMonitorAndTheTraceIsWhole) {
  const ToolRun run = tool.run("record --force -o " + trace +
                               " -- sh -c 'trap \"exit 9\" TERM; kill -TERM $PPID; while :; do "
                               "sleep 0.05; done'");
  EXPECT_EQ(run.status, 9) << run.err;
  EXPECT_EQ(tool.run("info " + trace).status, 0);
}

TEST_F(RecordTest, WhereTheTraceCannotBeWrittenTheMonitorRunsUnrecorded) {
  const std::string options = "-o /nowhere/t.kvmtape ";
  const ToolRun run = tool.run("record " + options + "-- " + kMonitor + " plain 10");
  EXPECT_EQ(run.status, 7);
  EXPECT_THAT(run.err, AllOf(HasSubstr("/nowhere/t.kvmtape"), HasSubstr("without being recorded")));
  const ToolRun must = tool.run("record --must-record " + options + "-- " + kMonitor + " plain 10");
  EXPECT_EQ(must.status, 125);
  EXPECT_THAT(must.out, IsEmpty());
}

TEST_F(RecordTest, ThatItRanUnrecordedIsTheLastLine) {
  const ToolRun run = tool.run("record -o /nowhere/t.kvmtape -- sh -c 'echo said >&2; exit 9'");
  EXPECT_EQ(run.status, 9);
  EXPECT_THAT(run.err, ::testing::ContainsRegex("said\n\\[ kvmtape: NOT recorded: .*t.kvmtape: "
                                                "cannot create the trace: .* \\]\n$"));
}

TEST_F(RecordTest, OntoWhatIsThereItAsksForForceBeforeTheMonitorStarts) {
  ASSERT_EQ(tool.run("record -o " + trace + " -- true").status, 0);
  const auto before = file_bytes(trace);
  const std::string link = tool.file("link.kvmtape");
  std::filesystem::create_symlink("t.kvmtape", link);
  const std::pair<std::string, const char*> cases[] = {
      {trace, "t.kvmtape: exists already: use --force"},
      {tool.file(""), "is a directory: name a file"},
      {link, "is not a regular file: name another"},
      {link + " --force", "is not a regular file: name another"},
  };
  for (const auto& [output, said] : cases) {
    const ToolRun run = tool.run("record -o " + output + " -- echo started");
    EXPECT_EQ(run.status, 125) << output;
    EXPECT_THAT(run.out, IsEmpty()) << output;
    EXPECT_THAT(run.err, HasSubstr(said));
  }
  EXPECT_EQ(file_bytes(trace), before);
}

TEST_F(RecordTest, WhatRanNoVcpuIsNotTheLatest) {
  ASSERT_EQ(tool.run("record -- " + kMonitor + " plain 10").status, 7);
  ASSERT_EQ(tool.run("record -- true").status, 0);
  EXPECT_EQ(tool.run("info --json").json()["totals"]["exits"], 11);
}

TEST_F(RecordTest, OnAFullDiskItSaysThatItStoppedAndWhereTheRestIs) {
  const SmallFileSystem small(128 * 1024);
  if (!small.mounted()) GTEST_SKIP() << small.why_not();
  const std::string full = small / "t.kvmtape", rings = tool.file("rings");
  std::filesystem::create_directory(rings);
  const ToolRun run = tool.run("record -o " + full + " --ring 32M --ring-dir " + rings + " -- " +
                               kMonitor + " plain 200000");
  EXPECT_EQ(run.status, 7);
  EXPECT_THAT(run.err,
              AllOf(HasSubstr("No space left"), HasSubstr("recording has ended"),
                    HasSubstr("[ kvmtape: " + full + ": "), ::testing::Not(HasSubstr("goes on"))));
  const ToolRun verify = tool.run("verify " + full);
  EXPECT_EQ(verify.status, 3);
  EXPECT_THAT(verify.err, ::testing::Not(HasSubstr("no rings are left")));
  const ToolRun recover = tool.run("recover " + full + " -o " + tool.file("saved"));
  EXPECT_THAT(recover.err, HasSubstr("no longer needed: rm -r -- " + rings));
}

TEST_F(RecordTest, OnAFullDiskItCountsWhatFileAndRingsHoldAndWhatTheyLack) {
  const SmallFileSystem small(128 * 1024);
  if (!small.mounted()) GTEST_SKIP() << small.why_not();
  const std::string full = small / "t.kvmtape", rings = tool.file("rings");
  std::filesystem::create_directory(rings);
  constexpr uint64_t kEach = 20'000;
  for (const std::string policy : {"drop", "overwrite"}) {
    const ToolRun run =
        tool.run("record -o " + full + " --ring 64K --full " + policy + " --ring-dir " + rings +
                 " -- " + kMonitor + " two-vcpus " + std::to_string(kEach));
    const auto read = tool.run("info --json " + full).json()["totals"];
    EXPECT_EQ(read["exits"].get<uint64_t>() + read["lost"].get<uint64_t>(), 2 * (kEach + 1));
    EXPECT_GT(read["lost"], 0) << policy;
    EXPECT_THAT(run.err, HasSubstr("[ kvmtape: " + full + ": " + read["exits"].dump() +
                                   " exits, 2 vCPUs, " + read["lost"].dump() + " lost, "))
        << policy;
    std::filesystem::remove(full);
  }
}

TEST_F(RecordTest, WhatADiskDoesNotTakeIsToldAtOnceAndWhenItTakesItAgain) {
  SmallFileSystem small(256 * 1024);
  if (!small.mounted()) GTEST_SKIP() << small.why_not();
  const std::string full = small / "t.kvmtape", filler = small / "filler";
  const ToolRun run =
      tool.run("record -o " + full + " --ring 64K -- sh -c '" + kMonitor +
               " plain 10; cat /dev/zero > " + filler + " 2> /dev/null; " +
               until("grep -q \"the guest runs on\" stderr", kMonitor + " plain 20000") + kMonitor +
               " plain 20000; rm " + filler + "; " +
               until_recorder_says("again; [0-9]+,[0-9]{3} exits were") + kMonitor + " plain 10'");
  EXPECT_THAT(run.err, HasSubstr("kvmtape: " + full +
                                 ": cannot write the trace: No space left on "
                                 "device; the guest runs on"));
  EXPECT_THAT(run.err, ::testing::ContainsRegex("kvmtape: " + full +
                                                ": can be written again; [0-9]+,[0-9]{3} exits "
                                                "were lost meanwhile"));
  EXPECT_THAT(run.err, HasSubstr("the last of them: cannot write the trace: No space left"));
  EXPECT_THAT(run.err, HasSubstr(" were lost while nothing could be written\n"));
}

TEST_F(RecordTest, WhatAStoppedRecordingLeftOutIsNotLaidToTheDisk) {
  const std::string gone = tool.file("gone");
  std::filesystem::create_directory(gone);
  const ToolRun run =
      tool.run("record -o " + gone + "/t.kvmtape --ring 1M -- sh -c '" + kMonitor +
               " plain 10; " KVMTAPE_BINARY_DIR "/kvmtape ctl $$ stop; " + remove_at_once(gone) +
               until_recorder_says("tried again") + kMonitor + " plain 3000; sleep 0.7'");
  EXPECT_THAT(run.err, HasSubstr("; the guest runs on, and it is tried again; until then"));
  EXPECT_THAT(run.err, ::testing::Not(HasSubstr("lost while nothing could be written"))) << run.err;
}

TEST_F(RecordTest, WhatCannotBeStartedLeavesNoTrace) {
  EXPECT_EQ(record("no-such-monitor").status, 127);
  EXPECT_EQ(record("/etc/passwd").status, 126);
  EXPECT_NE(::access(trace.c_str(), F_OK), 0);
  EXPECT_EQ(tool.run("record --no-such-option -- true").status, 125);
}

TEST_F(RecordTest, CheckSaysWhichWayAndWhy) {
  const ToolRun dynamic = tool.run("record --check -- " + kMonitor);
  EXPECT_EQ(dynamic.status, 0);
  EXPECT_THAT(dynamic.out, HasSubstr("preload: small_monitor is dynamically linked"));
  EXPECT_EQ(tool.run("record --check --json -- " + kMonitor).json()["way"], "preload");
  EXPECT_EQ(tool.run("record --json -- true").status, 125) << "standard output is the monitor's";
  const ShellRun alone = shell("cp " KVMTAPE_BINARY_DIR "/kvmtape " + tool.file("alone") + " && " +
                               tool.file("alone") + " record --check -- " + kMonitor);
  EXPECT_THAT(alone.out, ::testing::Not(HasSubstr("preload: ")));
  EXPECT_THAT(alone.out, HasSubstr("the preload library is not there"));
}

TEST_F(RecordTest, OnlyTheExitsThatAreAskedForAreRecordedAndTheHeaderSaysSo) {
  record(kMonitor + " plain 100", "--exit hlt");
  EXPECT_EQ(totals()["exits"], 1);
  EXPECT_EQ(totals()["lost"], 0);
  const auto lines = dump("--json").json_lines();
  EXPECT_EQ(lines[0]["session"]["left_out"][0], "exits of all reasons but 5");
  EXPECT_EQ(lines.back()["name"], "KVM_EXIT_HLT");
  EXPECT_EQ(lines.back()["guest_ns"], nullptr) << "other exits came between";
  record(kMonitor + " plain 100", "--address 0x10");
  EXPECT_EQ(totals()["exits"], 100);
  record(kMonitor + " plain 100", "--address 0x11-0xfff");
  EXPECT_EQ(totals()["exits"], 0);
  record(kMonitor + " two-vcpus 100", "--vcpu 1");
  EXPECT_EQ(totals()["exits"], 101);
  EXPECT_EQ(tool.run("verify " + trace).status, 0);
  EXPECT_EQ(tool.run("record --exit nonsense -- true").status, 125);
}

TEST_F(RecordTest, AVcpuThatIsAskedForAndDoesNotComeIsTold) {
  const ToolRun run = record(kMonitor + " two-vcpus 10", "--vcpu 1,5,7");
  EXPECT_THAT(run.err, HasSubstr(" had no vCPU 5, 7, which --vcpu asks for"));
  EXPECT_THAT(record(kMonitor + " two-vcpus 10", "--vcpu 0,1").err,
              ::testing::Not(HasSubstr("--vcpu")));
}

TEST_F(RecordTest, OptionsThatWouldDoNothingAreRefused) {
  for (const std::string options :
       {"--max-size -5", "--max-files 3", "--full drop --flight 1M", "--ring -1M"}) {
    const ToolRun run = record("true", options);
    EXPECT_EQ(run.status, 125) << options;
    EXPECT_THAT(run.err, HasSubstr(options.substr(0, options.find(' ')))) << options;
  }
  EXPECT_EQ(record("true", "--max-files 3 --max-age 1h").status, 0);
  EXPECT_EQ(record("true", "--max-files 3 --flight 1M").status, 0);
  EXPECT_EQ(record("true", "--full overwrite --flight 1M").status, 0);
}

TEST_F(RecordTest, AFlightRecorderWritesTheCrashAndTheEndIntoFilesOfTheirOwn) {
  record(kMonitor + " crash 50", "--flight 1M --trigger crash");
  EXPECT_EQ(totals()["exits"], 51);
  EXPECT_THAT(tool.run("info " + trace).out, HasSubstr("crash: exit 0:50, reason 17"));
  const ToolRun two = record("sh -c '" + kMonitor +
                                 " plain 20; " KVMTAPE_BINARY_DIR "/kvmtape ctl $$ snapshot && " +
                                 kMonitor + " plain 20'",
                             "--flight 1M --trigger end");
  EXPECT_THAT(two.err, HasSubstr("which shows how it began, is " + trace + "\n"));
  EXPECT_THAT(two.err, HasSubstr("[ kvmtape: " + tool.file("t.2.kvmtape")));
  record(kMonitor + " plain 50", "--flight 1M --trigger end");
  EXPECT_THAT(tool.run("info " + trace).out, HasSubstr("end of the recording"));
}

// Unmapped its vCPU, also where a filter keeps it from unmapping the ring, was killed in KVM_RUN,
// or that and nobody reaped it. One that the machine keeps from ending for three seconds is silent
// indeed: such a run is not judged.
TEST_F(RecordTest, AVcpuThatHasEndedIsNotSilent) {
  const std::string hang = kMonitor + " hangs 50 & ", seen = until_status_says("\\\"vcpu\\\":0");
  int judged = 0;
  const std::string linger =
      "if [ $(($(date +%s) - begin)) -gt 1 ]; then echo too slow; else sleep 4; fi; ";
  for (const std::string& ended :
       {kMonitor + " plain 50; " + linger,
        "SMALL_MONITOR_LINGER=600 " + kMonitor + " cloud-hypervisor 50 & " +
            until("grep -q sum stdout") + linger + "kill $!",
        hang + seen + "kill -9 $!; wait $!; " + linger,
        "(" + hang + "echo $! >pid; exec sleep 600) & " + seen + "kill -9 $(cat pid); " +
            until("grep -q \"^State:.Z\" /proc/$(cat pid)/status") + linger + "kill $!"}) {
    const ToolRun run =
        record("sh -c 'begin=$(date +%s); " + ended + "'", "--flight 1M --trigger silent=3s");
    if (run.out.ends_with("too slow\n")) continue;
    ++judged;
    EXPECT_THAT(run.err, HasSubstr("nothing triggered, nothing was written")) << ended;
    EXPECT_NE(::access(trace.c_str(), F_OK), 0) << ended;
  }
  if (judged == 0) GTEST_SKIP() << "this machine takes seconds to end a process";
}

TEST_F(RecordTest, AVcpuThatHangsIsSilentThoughItIsKilledThen) {
  record("sh -c '" + kMonitor + " hangs 50 & " + until_status_says("\\\"snapshots\\\":1") +
             "kill -9 $!; wait'",
         "--flight 1M --trigger silent=5s");
  EXPECT_THAT(tool.run("info " + trace).out, HasSubstr("silent: nothing since exit 0:49"));
  EXPECT_NE(::access(tool.file("t.2.kvmtape").c_str(), F_OK), 0);
}

TEST_F(RecordTest, ARecordingThatRunsIsSteeredByItsMonitorsNumber) {
  const std::string line = "record -q --force -o " + trace +
                           " -- sh -c '" KVMTAPE_BINARY_DIR
                           "/kvmtape ctl $$ mark from-within && " KVMTAPE_BINARY_DIR
                           "/kvmtape ctl $$ snapshot && " +
                           kMonitor + " plain 10; " KVMTAPE_BINARY_DIR "/kvmtape ctl $$ status'";
  const ToolRun run = tool.run(line);
  EXPECT_THAT(run.out, AllOf(HasSubstr(trace + "\n"), HasSubstr("state     recording"),
                             HasSubstr("0 write errors")))
      << run.err;
  EXPECT_THAT(dump("").out, HasSubstr("from-within"));
  EXPECT_NE(::access((trace + ".ctl").c_str(), F_OK), 0);
}

// 16 such rings are all that may be at a time.
TEST_F(RecordTest, VcpusThatHaveEndedGiveTheirRingsToThoseToCome) {
  const std::string rings = tool.file("rings");
  std::filesystem::create_directory(rings);
  const std::string ls = "ls $KVMTAPE_RECORD_DIRECTORY";
  for (const std::string& command :
       {"SMALL_MONITOR_RINGS=$KVMTAPE_RECORD_DIRECTORY " + kMonitor + " many-vms 50; ",
        "for i in $(seq 40); do " + kMonitor + " plain 50; " +
            until("[ $(" + ls + " | grep -c vcpu-) -lt 8 ]") + "done; "}) {
    const ToolRun run =
        record("sh -c '" + command + until("! " + ls + " | grep -q vcpu-") + ls + "'",
               "--ring 16M --ring-dir " + rings);
    EXPECT_EQ(totals()["exits"], 40 * 51) << run.err;
    EXPECT_EQ(totals()["lost"], 0) << run.err;
    EXPECT_THAT(run.err, HasSubstr(trace + ": 2040 exits, 40 vCPUs, 0 lost, "));
    EXPECT_EQ(totals()["vcpus"].size(), 40u);
    EXPECT_THAT(run.out, AllOf(HasSubstr("session.ring"), ::testing::Not(HasSubstr("vcpu-"))));
    EXPECT_EQ(tool.run("verify " + trace).status, 0);
  }
}

// Before its filter such a monitor gets 16, and uses one.
TEST_F(RecordTest, RingsThatWereMadeBeforeAFilterAndNotUsedAreGivenBackToo) {
  const std::string rings = tool.file("rings");
  std::filesystem::create_directory(rings);
  const std::string ls = "ls $KVMTAPE_RECORD_DIRECTORY";
  const ToolRun run =
      record("sh -c 'for i in 0 1 2; do SMALL_MONITOR_LINGER=600 " + kMonitor +
                 " cloud-hypervisor 500 & " + until_status_says("\\\"vcpu\\\":$i,") +
                 until("[ $(grep -c sum stdout) -gt $i ]") + ls + "; kill $!; wait $!; done; " +
                 until("! " + ls + " | grep -q spare-") + "echo then; " + ls + "'",
             "--ring-dir " + rings);
  EXPECT_EQ(totals()["exits"], 3 * (kExits + 1)) << run.err;
  const size_t then = run.out.find("then\n");
  ASSERT_NE(then, std::string::npos);
  EXPECT_THAT(run.out.substr(0, then), HasSubstr("spare-"));
  EXPECT_THAT(run.out.substr(then),
              AllOf(HasSubstr("session.ring"), ::testing::Not(HasSubstr("spare-"))));
}

TEST_F(RecordTest, FilesInBoundsStandAlone) {
  const ToolRun run =
      record(kMonitor + " plain 500000", "--max-size 256K --max-files 3 --ring 64M");
  EXPECT_EQ(tool.run("verify " + trace).status, 0);
  EXPECT_LE(std::filesystem::file_size(trace), 256u * 1024);
  uint64_t there = 0, bytes = 0;
  for (const auto& entry : std::filesystem::directory_iterator(tool.file(""))) {
    if (entry.path().extension() != ".kvmtape" || entry.is_symlink()) continue;
    const auto info = tool.run("info --json " + entry.path().string()).json();
    there += info["totals"]["exits"].get<uint64_t>();
    bytes += std::filesystem::file_size(entry.path());
  }
  EXPECT_THAT(run.err, HasSubstr(" exits went with files that were removed\n"));
  EXPECT_THAT(run.err, HasSubstr("\nrecorded in 3 files, "));
  EXPECT_THAT(run.err,
              HasSubstr(fmt::format("[ kvmtape: {}: {} exits, 1 vCPUs, 0 lost, {:.1f} kB ]", trace,
                                    there, static_cast<double>(bytes) / 1e3)));
}

TEST_F(RecordTest, OfFilesWithoutNumberThoseThatSomebodyRemovedAreNotCountedAsThere) {
  const std::string removed[] = {tool.file("t.1.kvmtape"), tool.file("t.3.kvmtape")};
  const ToolRun run =
      record("sh -c '" + kMonitor + " plain 500000; " + until("test -e " + removed[1]) + "rm " +
                 removed[0] + " " + removed[1] + "'",
             "--max-size 256K --max-files 0 --ring 64M");
  uint64_t there = 0, files = 0;
  for (const auto& entry : std::filesystem::directory_iterator(tool.file(""))) {
    if (entry.path().extension() != ".kvmtape" || entry.is_symlink()) continue;
    const auto info = tool.run("info --json " + entry.path().string()).json();
    there += info["totals"]["exits"].get<uint64_t>();
    ++files;
  }
  EXPECT_LT(there, 500'001u);
  EXPECT_THAT(run.err, HasSubstr(fmt::format("\nrecorded in {} files, ", files)));
  EXPECT_THAT(run.err, HasSubstr(fmt::format("[ kvmtape: {}: {} exits, 1 vCPUs, ", trace, there)));
}

TEST_F(RecordTest, WhatWentWithAFileThatSomebodyRemovedIsNotCountedAsThere) {
  const ToolRun run = record("sh -c '" + kMonitor + " plain 100; " + until_written(101) +
                             KVMTAPE_BINARY_DIR "/kvmtape ctl $$ snapshot && rm " + trace + " && " +
                             kMonitor + " plain 50'");
  // The first monitor's last exit got no answer: it waited in the ring, until its vCPU had ended.
  EXPECT_EQ(totals()["exits"], 51) << run.err;
  EXPECT_THAT(run.err, HasSubstr(trace + ": 51 exits, 2 vCPUs, 0 lost, "));
  EXPECT_THAT(run.err, HasSubstr("kvmtape: 101 exits went with files that were removed\n"));
}

TEST_F(RecordTest, WhereItsDirectoryComesBackItSaysWhatWentWithTheFile) {
  const std::string place = tool.file("gone"), name = place + "/t.kvmtape";
  std::filesystem::create_directory(place);
  const ToolRun run =
      tool.run("record -o " + name + " -- sh -c '" + kMonitor + " plain 1500; " +
               until_written(1501) + KVMTAPE_BINARY_DIR "/kvmtape ctl " + name + " snapshot; " +
               remove_at_once(place) + until_recorder_says("tried again") + "mkdir " + place +
               "; " + until_recorder_says("written again") + "'");
  EXPECT_THAT(run.err, HasSubstr("kvmtape: " + name +
                                 ": can be written again; 1,501 exits went with the file that was "
                                 "removed, 0 exits were lost meanwhile\n"));
}

TEST_F(RecordTest, WithoutItsDirectoryItSaysHowTheRingsAreRead) {
  const std::string place = tool.file("gone"), rings = tool.file("rings");
  std::filesystem::create_directory(place);
  std::filesystem::create_directory(rings);
  const ToolRun run = tool.run("record -o " + place + "/t.kvmtape --ring-dir " + rings +
                               " -- sh -c '" + remove_at_once(place) + kMonitor + " plain 500; " +
                               until_recorder_says("tried again") + "'");
  EXPECT_THAT(run.err, AllOf(HasSubstr("; until then kvmtape recover " + rings + "/"),
                             HasSubstr("with the trace gone, kvmtape recover " + rings + "/"),
                             ::testing::Not(HasSubstr("trace and rings together")),
                             ::testing::Not(HasSubstr("what was written before is readable"))));
  const std::string left = std::filesystem::directory_iterator(rings)->path();
  EXPECT_THAT(run.err, HasSubstr("No such file or directory; the newest exits are in the rings: "
                                 "kvmtape recover " +
                                 left + " -o FILE\n"));
  EXPECT_EQ(tool.run("info --json " + left).json()["totals"]["exits"], 501);
  const ToolRun recover = tool.run("recover " + left + " -o " + tool.file("saved"));
  EXPECT_EQ(recover.status, 0) << recover.err;
}

class QemuTest : public RecordTest {
 protected:
  void SetUp() override {
    RecordTest::SetUp();
    if (shell("command -v qemu-system-x86_64").status != 0)
      GTEST_SKIP() << "qemu-system-x86_64 is not installed";
  }
  // Room for what comes while the machine holds the recorder up.
  const std::string large_rings = "--ring 32M";
  const std::string until_exits = until_status_says("\\\"exits\\\":[0-9]{3,}");
};

TEST_F(QemuTest, TheFirmwareOfOneVcpuIsRecorded) {
  const ToolRun run =
      record("sh -c '" + kQemu + "& " + until_exits + "kill $!; wait $!'", large_rings);
  EXPECT_GE(totals()["exits"], 100) << run.err;
  EXPECT_EQ(totals()["lost"], 0);
  EXPECT_THAT(dump("--exit KVM_EXIT_IO").out, HasSubstr("OUT port "));
}

TEST_F(QemuTest, ADaemonOfTwoVcpusUnderItsOwnFilterIsRecordedToItsEnd) {
  const std::string pid = tool.file("pid");
  const ToolRun run = record("sh -c '" + kQemu + "-smp 2 -sandbox on -daemonize -pidfile " + pid +
                                 " && " + until_exits + "kill $(cat " + pid + ")'",
                             large_rings);
  EXPECT_EQ(run.status, 0) << run.err;
  EXPECT_THAT(run.err, HasSubstr("2 vCPUs, 0 lost"));
  EXPECT_GE(totals()["exits"], 100);
}

}  // namespace
}  // namespace kvmtape::testing
