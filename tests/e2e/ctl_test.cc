// Whom `ctl` and `stat --live` find by a process: its recordings, as its open files tell.
#include <gmock/gmock.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <cstdio>
#include <string>
#include <thread>

#include "recorder/control/control_server.h"
#include "recorder/control/unix_socket.h"
#include "tests/support/run_tool.h"
#include "tests/support/shell.h"
#include "tests/support/small_file_system.h"
#include "tests/support/test_session.h"

namespace kvmtape::testing {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

TEST(Ctl, ARecorderIsFoundByItsProcessThoughItsTraceWasRemoved) {
  TestSession session;
  session.options.control = 1;
  ASSERT_TRUE(session.open()) << session.error.text;
  const Tool tool;
  // In the way of a new file, which it would make within a second.
  const std::string link = session.path + ".link";
  ASSERT_EQ(::symlink("nowhere", link.c_str()), 0);
  ASSERT_EQ(::rename(link.c_str(), session.path.c_str()), 0);
  const ToolRun status = tool.run("ctl --json " + std::to_string(::getpid()) + " status");
  EXPECT_EQ(status.json()["trace"], session.path) << status.err;
  const ToolRun live = tool.run("stat --live " + std::to_string(::getpid()));
  EXPECT_EQ(live.status, 2);
  EXPECT_THAT(live.err, HasSubstr("no recording open"));
}

TEST(Ctl, StatusSaysOfWhenItsRatesAreAndThatNothingCanBeWritten) {
  TestSession session;
  session.options.control = 1;
  SmallFileSystem small(256 * 1024);
  if (!small.mounted()) GTEST_SKIP() << small.why_not();
  session.path = small / "vm.kvmtape";
  ASSERT_TRUE(session.open()) << session.error.text;
  const Tool tool;
  const std::string ask = "ctl " + session.path + " ";
  EXPECT_THAT(tool.run(ask + "status").out,
              AllOf(HasSubstr("state     recording\n"), HasSubstr("\nrates     over the last ")));
  small.fill();
  FakeVcpu vcpu;
  session.run_noisily(session.attach(0, vcpu), vcpu, 200);
  EXPECT_EQ(tool.run(ask + "snapshot").status, 2);
  EXPECT_THAT(tool.run(ask + "status").out,
              HasSubstr("state     recording, but nothing can be written: cannot write the trace: "
                        "No space left on device\n"));
  small.free();
  EXPECT_EQ(tool.run(ask + "snapshot").status, 0);
  EXPECT_THAT(tool.run(ask + "status").out, HasSubstr("state     recording\n"));
}

TEST(Ctl, AFlightRecorderIsFoundByItsProcessWhileItGoesFromFileToFile) {
  TestSession session;
  session.options.control = 1;
  session.options.flight_bytes = 64 * 1024;
  session.options.max_files = 2;
  ASSERT_TRUE(session.open()) << session.error.text;
  std::atomic<bool> enough{false};
  std::thread snapshots([&] {
    while (!enough) {
      kvmtape_snapshot(session.session, "again", nullptr);
      // Who answers takes the same lock.
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
  });
  const Tool tool;
  for (int i = 0; i < 30; ++i) {
    const ToolRun run = tool.run("ctl " + std::to_string(::getpid()) + " status");
    EXPECT_EQ(run.status, 0) << run.err;
  }
  enough = true;
  snapshots.join();
}

TEST(Ctl, ARecorderThatIsStoppedIsNotWaitedForForEver) {
  TestSession session;
  const auto listener = listen_at(control_path(session.path));  // and takes nobody
  ASSERT_TRUE(listener.ok()) << listener.error().to_string();
  const Tool tool;
  const ToolRun run = tool.run("ctl " + session.path + " status");
  EXPECT_EQ(run.status, 2);
  EXPECT_THAT(run.err, HasSubstr("no answer within 5 s"));
}

TEST(Ctl, AnotherUserIsToldThatItIsNotHis) {
  if (::geteuid() != 0 || shell("command -v setpriv").status != 0)
    GTEST_SKIP() << "needs root and setpriv, to be another user";
  TestSession session;
  session.options.control = 1;
  ASSERT_TRUE(session.open()) << session.error.text;
  const std::string folder = session.path.substr(0, session.path.rfind('/'));
  ASSERT_EQ(::chmod(folder.c_str(), 0755), 0);
  const std::string as_nobody =
      "setpriv --reuid 65534 --regid 65534 --clear-groups " KVMTAPE_BINARY_DIR "/kvmtape ctl ";
  if (shell(as_nobody + "--help").status != 0) GTEST_SKIP() << "nobody may not run this build";
  for (const std::string& target : {session.path, std::to_string(::getpid())}) {
    const ShellRun run = shell(as_nobody + target + " status 2>&1");
    EXPECT_EQ(run.status, 2);
    EXPECT_THAT(run.out, ::testing::ContainsRegex("[Pp]ermission denied: only its own user"));
  }
}

TEST(Ctl, WhoNamesAnotherFileOfARecordingThatRunsIsToldWhomToName) {
  TestSession session;
  session.options.control = 1;
  session.options.flight_bytes = 64 * 1024;
  ASSERT_TRUE(session.open()) << session.error.text;
  FakeVcpu vcpu;
  session.run_numbered(session.attach(0, vcpu), vcpu, 0);
  const std::string second = session.path.substr(0, session.path.size() - 7) + "2.kvmtape";
  const std::string third = session.path.substr(0, session.path.size() - 7) + "3.kvmtape";
  ASSERT_EQ(kvmtape_snapshot(session.session, "one", nullptr), 0);
  ASSERT_EQ(kvmtape_snapshot(session.session, "two", nullptr), 0);
  const Tool tool;
  const std::string monitor = "its monitor, process " + std::to_string(::getpid());
  EXPECT_THAT(tool.run("ctl " + second + " status").err,
              HasSubstr("this is a snapshot of a recording that still runs: name " + session.path +
                        ", or " + monitor));
  EXPECT_THAT(tool.run("ctl " + third + " status").err,
              HasSubstr("this is a file of a recording that still runs: name " + session.path));
  const ToolRun live = tool.run("stat --live " + session.path);
  EXPECT_EQ(live.status, 2);
  EXPECT_THAT(live.err,
              HasSubstr("this is a snapshot of a recording that still runs: name " + monitor));
  ASSERT_EQ(session.close(), 0) << session.error.text;
  EXPECT_THAT(tool.run("ctl " + second + " status").err, HasSubstr("has ended and is sealed"));
}

}  // namespace
}  // namespace kvmtape::testing
