// `kvmtape record -p` on the tests' own monitor, static and dynamic, which stops until it is
// watched. What it prints and its status are the same as without, and what it counted is what was
// recorded. Skipped, by name and reason, where KVM or the way is missing.
#include "recorder/attach/attach.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <linux/sched.h>
#include <signal.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>
#include <thread>
#include <tuple>
#include <utility>
#include <vector>

#include "schema/base/unique_fd.h"
#include "tests/support/run_tool.h"
#include "tests/support/shell.h"
#ifdef KVMTAPE_BPF
#include "recorder/attach/bpf_watch.h"
#endif

namespace kvmtape::testing {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::StartsWith;

const std::string kStatic = KVMTAPE_STATIC_MONITOR;
const std::string kDynamic = KVMTAPE_SMALL_MONITOR;
constexpr uint64_t kExits = 500;
const std::string kWithoutRights = "setpriv --bounding-set -bpf,-perfmon,-sys_admin";

// Starts the monitor in $1, stopped; attaches; lets it go; waits for both.
constexpr const char* kScript = R"(
  SMALL_MONITOR_STOP=1 $MONITOR >monitor.out & m=$!
  until grep -q '^State:.T' /proc/$m/status; do sleep 0.01; done
  )" KVMTAPE_BINARY_DIR R"(/kvmtape record --force -o $TRACE $OPTIONS -p $m 2>record.err & r=$!
  until grep -qs '^attached' record.err; do
    kill -0 $r 2>/dev/null || { kill -KILL $m; cat record.err >&2; exit 99; }
    sleep 0.01
  done
  eval "$BEFORE"
  kill -CONT $m
  eval "$MEANWHILE"
  { wait $m; } 2>/dev/null; echo monitor $?
  wait $r; echo record $?
  cat monitor.out)";

class AttachTest : public ::testing::Test {
 protected:
  void SetUp() override {
    if (!UniqueFd(::open("/dev/kvm", O_RDWR | O_CLOEXEC)).valid())
      GTEST_SKIP() << "/dev/kvm cannot be opened";
  }
  void need_bpf() {
#ifdef KVMTAPE_BPF
    if (auto bpf = BpfWatch::load(static_cast<uint32_t>(::getpid())); !bpf.ok())
      GTEST_SKIP() << bpf.error().to_string();
#else
    GTEST_SKIP() << "this kvmtape was built without eBPF";
#endif
  }
  void need_bpf_and_preload() {
#ifndef KVMTAPE_PRELOAD
    GTEST_SKIP() << "this kvmtape was built without the preload library";
#endif
    need_bpf();
  }
  ShellRun attach(const std::string& monitor, const std::string& options = {},
                  const std::string& meanwhile = ":", const std::string& before = ":") {
    std::ofstream(tool.file("attach.sh")) << kScript;
    return shell("cd " + tool.file("") + " && MONITOR='" + monitor + "' TRACE=" + trace +
                 " OPTIONS='" + options + "' MEANWHILE='" + meanwhile + "' BEFORE='" + before +
                 "' bash attach.sh 2>&1");
  }
  // By attach into `trace`; returns where the recording by preload is.
  std::string record_both_ways(const std::string& arguments) {
    const std::string by_preload = tool.file("preload.kvmtape");
    tool.run("record --force -o " + by_preload + " -- " + kDynamic + " " + arguments);
    attach(kStatic + " " + arguments);
    return by_preload;
  }
  nlohmann::json totals() { return tool.run("info --json " + trace).json()["totals"]; }
  // The exits without their times, a line each.
  std::string exits_of(const std::string& recording) {
    std::istringstream lines(tool.run("dump " + recording).out);
    std::string text, where, when;
    for (std::string rest; lines >> where >> when && std::getline(lines, rest);)
      text += where + rest + "\n";
    return text;
  }

  Tool tool;
  std::string trace = tool.file("t.kvmtape");
};

// The exit status of a program that runs as this process; EPERM where that cannot be chosen.
int run_as_number(pid_t number, std::vector<std::string> words) {
  std::vector<char*> argv;
  for (std::string& word : words) argv.push_back(word.data());
  argv.push_back(nullptr);
  clone_args how{};
  how.exit_signal = SIGCHLD;
  how.set_tid = reinterpret_cast<uint64_t>(&number);
  how.set_tid_size = 1;
  const auto child = static_cast<pid_t>(::syscall(SYS_clone3, &how, sizeof how));
  if (child < 0) return errno;
  if (child == 0) {
    ::execv(argv[0], argv.data());
    ::_exit(1);
  }
  int status = 0;
  ::waitpid(child, &status, 0);
  return WEXITSTATUS(status);
}

// The static monitor, stopped before its first KVM_RUN.
class StoppedMonitor {
 public:
  StoppedMonitor() : pid_(::fork()) {
    if (pid_ == 0) {
      const UniqueFd null(::open("/dev/null", O_WRONLY));
      ::dup2(null.get(), STDOUT_FILENO);
      ::setenv("SMALL_MONITOR_STOP", "1", 1);
      ::execl(kStatic.c_str(), kStatic.c_str(), "plain", "2000", nullptr);
      ::_exit(1);
    }
    ::waitpid(pid_, nullptr, WUNTRACED);
  }
  ~StoppedMonitor() { run(); }
  uint32_t pid() const { return static_cast<uint32_t>(pid_); }
  void run() {
    if (pid_ <= 0) return;
    ::kill(pid_, SIGCONT);
    ::waitpid(std::exchange(pid_, 0), nullptr, 0);
  }

 private:
  pid_t pid_;
};

class EveryWay : public AttachTest, public ::testing::WithParamInterface<const char*> {};

class EveryMonitor : public AttachTest,
                     public ::testing::WithParamInterface<std::tuple<const char*, const char*>> {};

TEST_P(EveryMonitor, PrintsAndReturnsTheSameAndItsExitsAreInTheTrace) {
  const std::string by = std::get<0>(GetParam()), way = std::get<1>(GetParam());
  if (by == "bpf") need_bpf();
  if (IsSkipped()) return;
  const std::string command = kStatic + " " + way + " " + std::to_string(kExits);
  const ShellRun plain = shell(command);
  const ShellRun watched = attach(command, "--way " + by);
  EXPECT_EQ(watched.out, "monitor " + std::to_string(plain.status) + "\nrecord 0\n" + plain.out);
  const uint64_t vcpus = way == "two-vcpus" || way == "two-vms" ? 2 : 1;
  EXPECT_EQ(totals()["exits"], vcpus * (kExits + 1));
  EXPECT_EQ(totals()["lost"], 0);
  EXPECT_EQ(tool.run("verify " + trace).status, 0);
}
INSTANTIATE_TEST_SUITE_P(
    Ways, EveryMonitor,
    ::testing::Combine(::testing::Values("bpf", "ptrace"),
                       ::testing::Values("plain", "by-number", "signed-request", "copied",
                                         "two-vcpus", "two-vms", "filter", "killed", "crash")),
    [](const auto& ways) {
      std::string name = std::string(std::get<0>(ways.param)) + "_" + std::get<1>(ways.param);
      std::erase(name, '-');
      return name;
    });

TEST_F(AttachTest, ExitsAndAnswersAreThoseThatPreloadRecords) {
  need_bpf_and_preload();
  if (IsSkipped()) return;
  const std::string by_preload = record_both_ways("plain 300");
  EXPECT_EQ(exits_of(trace), exits_of(by_preload));
}

// The program reads only the head of the most frequent exits, but all of a crash.
TEST_F(AttachTest, OfACrashEveryByteIsThatWhichPreloadRecords) {
  need_bpf_and_preload();
  if (IsSkipped()) return;
  const std::string by_preload = record_both_ways("crash 3");
  const auto last_of = [&](const std::string& path) {
    return tool.run("dump --json --raw --tail 1 " + path).json_lines().back();
  };
  const auto exit = last_of(trace);
  EXPECT_EQ(exit["name"], "KVM_EXIT_INTERNAL_ERROR");
  EXPECT_THAT(exit["raw"]["kvm_run"].dump(), HasSubstr("0303030303030303"));
  EXPECT_EQ(exit["raw"], last_of(by_preload)["raw"]);
}

TEST_P(EveryWay, TheMonitorsProcessNamesItsRecordingAndAMarkStandsAtItsTime) {
  const std::string by = GetParam();
  if (by == "bpf") need_bpf();
  if (IsSkipped()) return;
  const std::string kvmtape = KVMTAPE_BINARY_DIR "/kvmtape ";
  const ShellRun run = attach(
      kStatic + " plain 500", "--way " + by, ":",
      kvmtape + "ctl $m mark here; echo ctl $?; " + kvmtape + "ctl $m status | grep -c recording");
  EXPECT_THAT(run.out, StartsWith("ctl 0\n1\n"));
  const auto recorded = tool.run("dump --json " + trace).json_lines();
  const auto mark =
      std::ranges::find_if(recorded, [](const auto& line) { return line.contains("mark"); });
  ASSERT_NE(mark, recorded.end());
  EXPECT_LT((*mark)["time_ns"], recorded.back()["time_ns"]) << "in front of the exits";
}
INSTANTIATE_TEST_SUITE_P(Ways, EveryWay, ::testing::Values("bpf", "ptrace"));

TEST_F(AttachTest, RegistersOfACrashAreNotTaken) {
  need_bpf();
  if (IsSkipped()) return;
  attach(kStatic + " crash 3");
  const auto exit = tool.run("dump --json --tail 1 " + trace).json_lines().back();
  EXPECT_EQ(exit["name"], "KVM_EXIT_INTERNAL_ERROR");
  EXPECT_THAT(exit["registers"].dump(), HasSubstr("not taken"));
  EXPECT_EQ(tool.run("info --json " + trace).json()["session"]["registers"], "never");
}

// By ptrace a thread of the monitor asks for them, unless a filter might kill it for that.
TEST_F(AttachTest, RegistersOfACrashAreThoseThatPreloadTakes) {
#if !defined(__x86_64__) || !defined(KVMTAPE_PRELOAD)
  GTEST_SKIP() << "no registers by ptrace on this architecture, or no preload to compare with";
#endif
  const std::string by_preload = tool.file("preload.kvmtape");
  tool.run("record --force -o " + by_preload + " -- " + kDynamic + " crash 3");
  const ShellRun run = attach(kStatic + " crash 3", "--way ptrace");
  EXPECT_THAT(run.out, HasSubstr(shell(kStatic + " crash 3").out));
  const auto last_of = [&](const std::string& recording) {
    return tool.run("dump --json --tail 1 " + recording).json_lines().back();
  };
  const auto taken = last_of(trace)["registers"], expected = last_of(by_preload)["registers"];
  for (const char* set : {"kvm_regs", "kvm_sregs", "kvm_debugregs", "kvm_mp_state"}) {
    EXPECT_EQ(taken.at(set).at("status"), "taken");
    EXPECT_EQ(taken.at(set), expected.at(set));
  }
  EXPECT_EQ(taken.size(), expected.size());
  EXPECT_EQ(tool.run("info --json " + trace).json()["session"]["registers"], "debug-exits");
}

TEST_F(AttachTest, RegistersOfACrashAreNotTakenUnderAFilter) {
  attach(kStatic + " crash-filtered 3", "--way ptrace");
  const auto exit = tool.run("dump --json --tail 1 " + trace).json_lines().back();
  EXPECT_THAT(exit["registers"].dump(), HasSubstr("not taken"));
  EXPECT_EQ(totals()["exits"], 4);
}

// Loading its programs takes a while. Where the signal comes too late for that all the same, it
// ends a recording.
TEST_F(AttachTest, AnInterruptWhileItIsSetUpSaysThatThereIsNoRecording) {
  need_bpf();
  if (IsSkipped()) return;
  StoppedMonitor monitor;
  const ShellRun run = shell(std::string(KVMTAPE_BINARY_DIR) + "/kvmtape record --way bpf -o " +
                             trace + " -p " + std::to_string(monitor.pid()) + R"( 2>&1 & r=$!
    until grep -qs '^SigCgt:.*[37bf]$' /proc/$r/status; do kill -0 $r || break; done
    kill -INT $r; wait $r; echo ended $?)");
  if (run.out.find("attached") == std::string::npos) {
    EXPECT_THAT(run.out, AllOf(HasSubstr("there is no recording"), HasSubstr("ended 125\n")));
    EXPECT_FALSE(std::filesystem::exists(trace));
  } else {
    EXPECT_THAT(run.out, HasSubstr("ended 0\n"));
  }
}

class BothWays : public AttachTest, public ::testing::WithParamInterface<const char*> {};
INSTANTIATE_TEST_SUITE_P(Ways, BothWays, ::testing::Values("bpf", "ptrace"));

TEST_P(BothWays, AnInterruptEndsTheRecordingAndTheMonitorRunsOn) {
  if (GetParam() == std::string("bpf")) need_bpf();
  if (IsSkipped()) return;
  const ShellRun run =
      attach(kStatic + " plain 300000", std::string("--way ") + GetParam(),
             "until [ $(stat -c %s $TRACE) -gt 20000 ]; do kill -0 $r || break; sleep 0.01; done; "
             "kill -INT $r; wait $r; echo ended $?");
  EXPECT_GT(totals()["exits"], 0);
  // The kernel's ring holds what comes in a third of a second.
  const std::string status = totals()["lost"] == 0 ? "0" : "3";
  EXPECT_THAT(run.out, AllOf(HasSubstr("ended " + status + "\n"), HasSubstr("monitor 7\n"),
                             HasSubstr("exit2=300000 exit5=1")));
  EXPECT_EQ(std::to_string(tool.run("verify " + trace).status), status);
}

TEST_F(AttachTest, WhoIsNoMonitorIsRefused) {
  const ToolRun none = tool.run("record -p 4194303");
  EXPECT_EQ(none.status, 125);
  EXPECT_THAT(none.err, HasSubstr("process 4194303 does not exist"));
  const ToolRun shell_itself = tool.run("record -p $$");
  EXPECT_EQ(shell_itself.status, 125);
  EXPECT_THAT(shell_itself.err, HasSubstr("is not a KVM monitor"));
  std::thread other([&] {
    const std::string number = std::to_string(::gettid());
    const ToolRun thread = tool.run("record -p " + number);
    EXPECT_EQ(thread.status, 125);
    EXPECT_THAT(thread.err, AllOf(HasSubstr("is a thread of process"),
                                  HasSubstr("use -p " + std::to_string(::getpid()))));
  });
  other.join();
}

TEST_F(AttachTest, WhereBpfIsNotPermittedPtraceIsTakenAndSaysWhatItCosts) {
  if (shell(kWithoutRights + " true 2>&1").status != 0)
    GTEST_SKIP() << "no capabilities to give up";
  StoppedMonitor monitor;
  const ShellRun run = shell(kWithoutRights + " " KVMTAPE_BINARY_DIR "/kvmtape record --check -p " +
                             std::to_string(monitor.pid()));
  EXPECT_EQ(run.status, 0);
  EXPECT_THAT(run.out, AllOf(HasSubstr("ptrace: slow"), HasSubstr("4 to 10 times"),
                             HasSubstr("run as root, or with CAP_BPF")));
}

TEST_F(AttachTest, AStaticMonitorThatIsStartedIsRecordedWithItsChildren) {
  need_bpf();
  if (IsSkipped()) return;
  EXPECT_THAT(tool.run("record --check -- " + kStatic).out,
              HasSubstr("bpf: small_monitor_static is static: preload cannot work; "));
  for (const std::string way : {"plain", "daemon", "filter", "two-vcpus"}) {
    const std::string command = kStatic + " " + way + " 300";
    const ShellRun plain = shell(command);
    const ToolRun run = tool.run("record --force -o " + trace + " -- " + command);
    EXPECT_EQ(run.out, plain.out);
    EXPECT_EQ(run.status, plain.status) << run.err;
    EXPECT_EQ(totals()["exits"], (way == "two-vcpus" ? 2 : 1) * 301) << way;
  }
}

TEST_F(AttachTest, WhoHasStartedAThousandProcessesIsStillFollowed) {
  need_bpf();
  if (IsSkipped()) return;
  const ToolRun run = tool.run("record -o " + trace + " -- " + kStatic + " many-children 300");
  EXPECT_EQ(run.status, 7) << run.err;
  EXPECT_EQ(totals()["exits"], 301);
}

// A process's number is soon another's, whose guest is none of ours.
TEST_F(AttachTest, WhoGetsTheNumberOfOneThatHasEndedIsNotRecorded) {
  need_bpf();
  if (IsSkipped()) return;
  const std::string printed = tool.file("printed");
  // Without its number nobody lets the monitor go on: `timeout` ends both.
  std::thread recorder([&] {
    tool.run("record -o " + trace + " -- " + kStatic + " child-ends 1 > " + printed,
             "timeout -k 5 120");
  });
  pid_t ended = 0, monitor = 0;
  for (int tries = 0; tries < 6000 && monitor == 0; ++tries) {
    std::string words;
    std::ifstream(printed) >> words >> ended >> words >> monitor;
    ::usleep(10'000);
  }
  if (monitor == 0) {
    recorder.join();
    FAIL() << "the monitor did not say its number in a minute";
  }
  const int status = run_as_number(ended, {kStatic, "plain", "50"});
  shell("timeout 60 sh -c \"until grep -q '^State:.T' /proc/" + std::to_string(monitor) +
        "/status; do sleep 0.01; done\"");  // it stops itself behind what it says
  ::kill(monitor, SIGCONT);
  recorder.join();
  if (status == EPERM) GTEST_SKIP() << "no right to choose a process's number";
  EXPECT_EQ(status, 7);
  EXPECT_EQ(totals()["exits"], 0);
}

TEST_F(AttachTest, AStaticMonitorWithoutTheRightsRunsUnrecordedAndIsToldWhatToDo) {
  if (shell(kWithoutRights + " true 2>&1").status != 0)
    GTEST_SKIP() << "no capabilities to give up";
  const std::string record = kWithoutRights + " " KVMTAPE_BINARY_DIR "/kvmtape record -o " + trace;
  const ShellRun run = shell(record + " -- " + kStatic + " plain 3 2>&1");
  EXPECT_EQ(run.status, 7);
  EXPECT_THAT(run.out, AllOf(HasSubstr("small_monitor_static is static: preload cannot work"),
                             HasSubstr("run as root with -p, or link recorder/kvmtape.h"),
                             HasSubstr("runs without being recorded"), HasSubstr("exit2=3")));
  EXPECT_EQ(shell(record + " --must-record -- " + kStatic + " plain 3 2>&1").status, 125);
  EXPECT_EQ(shell(record + " --check -- " + kStatic + " 2>&1").status, 1);
}

// A command to QEMU's monitor, whose socket is "monitor" here: until it prompts again, or has gone.
const std::string kTellQemu =
    "import socket,sys; s=socket.socket(socket.AF_UNIX); s.connect(\"monitor\"); "
    "s.sendall(sys.argv[1].encode()+b\"\\n\"); said=b\"\"; got=True\n"
    "while got and said.count(b\"(qemu)\")<2: got=s.recv(4096); said+=got";

TEST_F(AttachTest, QemuIsAttachedToWhileItRuns) {
  need_bpf();
  if (IsSkipped()) return;
  if (shell("command -v qemu-system-x86_64").status != 0)
    GTEST_SKIP() << "qemu-system-x86_64 is not installed";
  const std::string pid = tool.file("pid");
  // Its guest waits (-S) until it is watched.
  const ShellRun run = shell(
      "cd " + tool.file("") +
      " && qemu-system-x86_64 -accel kvm -smp 2 -sandbox on -display none -nodefaults -S "
      "-no-reboot -monitor unix:monitor,server,nowait -daemonize -pidfile " +
      pid + " && " KVMTAPE_BINARY_DIR "/kvmtape record --force -o " + trace +
      " -p $(cat pid) 2>record.err & cd " + tool.file("") +
      "; until grep -qs ^attached record.err; do kill -0 $! || break; sleep 0.05; done; "
      "tell() { python3 -c '" +
      kTellQemu +
      "' $1; }; tell cont; until " KVMTAPE_BINARY_DIR "/kvmtape dump --exit KVM_EXIT_IO " + trace +
      " | grep -q 0x8086; do kill -0 $! || break; sleep 0.1; done; tell quit; wait $!; echo $?");
  // What it looks for comes before the kernel's ring can be full; behind that exits may be lost.
  EXPECT_THAT(run.out, HasSubstr(totals()["lost"] == 0 ? "0\n" : "3\n"));
  // Of QEMU's host bridge: the answer to a read, which KVM has not looked at yet.
  EXPECT_THAT(tool.run("dump --exit KVM_EXIT_IO " + trace).out,
              HasSubstr("IN  port 0xcfc 2 bytes = 0x8086"));
}

TEST_F(AttachTest, WhomADebuggerHasIsRefusedAndLeavesNoTrace) {
  StoppedMonitor monitor;
  ASSERT_EQ(::ptrace(PTRACE_SEIZE, static_cast<pid_t>(monitor.pid()), nullptr, nullptr), 0);
  const ToolRun run =
      tool.run("record --way ptrace -o " + trace + " -p " + std::to_string(monitor.pid()));
  EXPECT_EQ(run.status, 125);
  EXPECT_THAT(run.err, AllOf(HasSubstr("PTRACE_SEIZE"), HasSubstr("no debugger has it")));
  EXPECT_NE(::access(trace.c_str(), F_OK), 0);
  ::kill(static_cast<pid_t>(monitor.pid()), SIGKILL);
}

TEST_F(AttachTest, ATraceThatCannotBeWrittenLeavesTheMonitorAlone) {
  need_bpf();
  if (IsSkipped()) return;
  trace = "/nowhere/t.kvmtape";
  const ShellRun run = attach(kStatic + " plain 10");
  EXPECT_EQ(run.status, 99);
  EXPECT_THAT(run.out, HasSubstr("/nowhere/t.kvmtape"));
}

#ifdef KVMTAPE_BPF

struct Watched {
  kvmtape_totals totals{};
  uint64_t seen = 0;
};

Watched watch(const std::string& path, AnswerPoint answers, uint32_t ring_bytes = kBpfRingBytes,
              KernelReads reads = KernelReads::kBest) {
  StoppedMonitor monitor;
  auto bpf = BpfWatch::load(monitor.pid(), answers, ring_bytes, reads);
  EXPECT_TRUE(bpf.ok());
  kvmtape_options options;
  kvmtape_options_init(&options);
  options.path = path.c_str();
  const WatchedProcess process{monitor.pid(), "monitor", {}, read_monotonic_clocks};
  auto session = kvmtape_session::open(options, &process);
  EXPECT_TRUE((*bpf)->record_into(**session).ok());
  monitor.run();  // nobody takes anything out meanwhile
  (*bpf)->finish();
  Watched watched;
  EXPECT_TRUE((*session)->close(watched.totals).ok());
  watched.seen = (*bpf)->exits_seen();
  return watched;
}

TEST_F(AttachTest, WhatFindsNoRoomInTheKernelIsCountedAsLost) {
  need_bpf();
  if (IsSkipped()) return;
  const Watched watched = watch(trace, AnswerPoint::kBest, 64 * 1024);
  EXPECT_EQ(watched.seen, 2001);
  EXPECT_EQ(watched.totals.exits + watched.totals.lost, 2001);
  EXPECT_GT(watched.totals.lost, 1000);
  EXPECT_GT(watched.totals.exits, 50);
  EXPECT_EQ(totals()["lost"], watched.totals.lost);
}

TEST_F(AttachTest, EveryProgramSeesTheSameExitsAndAnswers) {
  need_bpf();
  if (IsSkipped()) return;
  const auto answers = [&](const std::string& path) {
    size_t count = 0;
    for (const auto& exit : tool.run("dump --json " + path).json_lines())
      count += exit.contains("answer") && !exit["answer"].is_null() ? 1 : 0;
    return count;
  };
  watch(trace, AnswerPoint::kBest);
  EXPECT_EQ(answers(trace), 2000);
  const auto exits = exits_of(trace);
  for (const auto answer : {AnswerPoint::kBest, AnswerPoint::kSysEnter})
    for (const auto reads : {KernelReads::kBest, KernelReads::kByHelper}) {
      const std::string other = tool.file("other" + std::to_string(static_cast<int>(answer)) +
                                          std::to_string(static_cast<int>(reads)));
      watch(other, answer, kBpfRingBytes, reads);
      EXPECT_EQ(exits_of(other), exits) << other;
      EXPECT_EQ(answers(other), 2000) << other;
    }
}

#endif

}  // namespace
}  // namespace kvmtape::testing
