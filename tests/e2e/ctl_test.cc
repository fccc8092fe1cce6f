// Whom `ctl` and `stat --live` find by a process: its recordings, as its open files tell.
#include <gmock/gmock.h>
#include <unistd.h>

#include <atomic>
#include <string>
#include <thread>

#include "tests/support/run_tool.h"
#include "tests/support/test_session.h"

namespace kvmtape::testing {
namespace {

using ::testing::HasSubstr;

TEST(Ctl, ARecorderIsFoundByItsProcessThoughItsTraceWasRemoved) {
  TestSession session;
  session.options.control = 1;
  ASSERT_TRUE(session.open()) << session.error.text;
  const Tool tool;
  ASSERT_EQ(tool.run("ctl " + session.path + " stop").status, 0);  // it makes no new file meanwhile
  ASSERT_EQ(::unlink(session.path.c_str()), 0);
  const ToolRun status = tool.run("ctl --json " + std::to_string(::getpid()) + " status");
  EXPECT_EQ(status.json()["trace"], session.path) << status.err;
  const ToolRun live = tool.run("stat --live " + std::to_string(::getpid()));
  EXPECT_EQ(live.status, 2);
  EXPECT_THAT(live.err, HasSubstr("no recording open"));
}

TEST(Ctl, AFlightRecorderIsFoundByItsProcessWhileItGoesFromFileToFile) {
  TestSession session;
  session.options.control = 1;
  session.options.flight_bytes = 64 * 1024;
  session.options.max_files = 2;
  ASSERT_TRUE(session.open()) << session.error.text;
  std::atomic<bool> enough{false};
  std::thread snapshots([&] {
    while (!enough) kvmtape_snapshot(session.session, "again", nullptr);
  });
  const Tool tool;
  for (int i = 0; i < 30; ++i) {
    const ToolRun run = tool.run("ctl " + std::to_string(::getpid()) + " status");
    EXPECT_EQ(run.status, 0) << run.err;
  }
  enough = true;
  snapshots.join();
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
