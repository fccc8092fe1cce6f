// `kvmtape dump --follow` on a recording to which exits are added while it is read.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <sys/file.h>

#include <chrono>
#include <fstream>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

#include "schema/base/unique_fd.h"
#include "schema/ring_reader.h"
#include "tests/support/run_tool.h"
#include "tests/support/test_ring.h"
#include "tests/support/trace_builder.h"

namespace kvmtape::testing {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

// A recording whose recorder seems to run: its rings are locked as long as this lives.
class DumpFollowTest : public ::testing::Test {
 protected:
  // Waits, at most for long, until the output of the tool that runs holds `text`.
  void wait_for(const std::string& text) {
    for (int i = 0; i < 1000; ++i) {
      std::ostringstream out;
      out << std::ifstream(tool_.file("stdout")).rdbuf();
      if (out.str().find(text) != std::string::npos) return;
      std::this_thread::sleep_for(std::chrono::milliseconds(20));
    }
    ADD_FAILURE() << "no '" << text << "' came";
  }
  // Follows, with `meanwhile` on another thread, until `last` was printed; then SIGTERM.
  template <typename Meanwhile>
  ToolRun follow(const std::string& options, const std::string& last, Meanwhile meanwhile) {
    std::thread other(meanwhile);
    const ToolRun run =
        tool_.run("dump --follow " + options + " " + path_ + " & while kill -0 $! && ! grep -q '" +
                  last + "' stdout; do sleep 0.02; done; kill -TERM $!; wait $!");
    other.join();
    return run;
  }
  // Two exits, then 50 while it is stopped, as `add_fifty` lets them come, and three behind them.
  template <typename AddFifty>
  ToolRun follow_a_stop(AddFifty add_fifty) {
    RingReader drain(ring_.header());
    ring_.add_exits(2);
    return follow("", "^0:54 ", [&] {
      wait_for("0:1 ");
      drain.stop(2);
      add_fifty();
      drain.go_on(52);
      ring_.add_exits(3);
    });
  }
  static std::vector<std::string> places(const std::string& out) {
    std::vector<std::string> found;
    std::istringstream lines(out);
    for (std::string line; std::getline(lines, line);)
      found.push_back(line.substr(0, line.find(' ')));
    return found;
  }

  Tool tool_;
  TraceBuilder trace_{tool_.file("")};
  std::string path_ = trace_.write_to(tool_.file("running.kvmtape"));
  TestRing session_{tool_.file(""), trace_.session(), kSessionStream};
  UniqueFd lock_{::open(tool_.file("session.ring").c_str(), O_RDWR | O_CLOEXEC)};
  bool locked_ = ::flock(lock_.get(), LOCK_EX) == 0;
  TestRing ring_{tool_.file(""), trace_.session(), 0};
};

TEST_F(DumpFollowTest, PrintsEachExitOnceAsItComes) {
  ASSERT_TRUE(locked_);
  ring_.add_exits(3);
  const ToolRun run = follow("", "^0:4 ", [this] {
    wait_for("0:2 ");
    ring_.add_exits(2);
  });
  EXPECT_EQ(run.status, 0) << run.err;
  EXPECT_THAT(places(run.out), ElementsAre("0:0", "0:1", "0:2", "0:3", "0:4"));
}

TEST_F(DumpFollowTest, BeginsWithTheTailAndGoesOnWithEverything) {
  ring_.add_exits(5);
  const ToolRun run = follow("--json --tail 1", "\"seq\":6,", [this] {
    wait_for("\"seq\":4,");
    ring_.add_exits(2);
  });
  EXPECT_EQ(run.status, 0) << run.err;
  const auto lines = run.json_lines();
  ASSERT_EQ(lines.size(), 4u);
  EXPECT_TRUE(lines[0].contains("session"));
  for (size_t i = 1; i < lines.size(); ++i) EXPECT_EQ(lines[i]["seq"], i + 3);
}

TEST_F(DumpFollowTest, AnExitThatIsNotAnsweredIsShownNevertheless) {
  ring_.add_exits(1).add_exit_without_answer();
  const ToolRun run = follow("", "^0:1 ", [] {});
  EXPECT_THAT(places(run.out), ElementsAre("0:0", "0:1"));
}

TEST_F(DumpFollowTest, ThatTheRecordingIsStoppedIsSaidOnce) {
  const ToolRun run = follow_a_stop([this] {
    for (int i = 0; i < 50; ++i) {  // three rounds at least
      ring_.add_exits(1);
      std::this_thread::sleep_for(std::chrono::milliseconds(20));
    }
  });
  EXPECT_EQ(run.status, 0) << run.err;
  EXPECT_THAT(places(run.out), ElementsAre("0:0", "0:1", "0:2", "0:52", "0:53", "0:54"));
  EXPECT_THAT(run.out, HasSubstr("50 exits")) << "of the whole gap";
}

TEST_F(DumpFollowTest, ThatItIsStoppedIsSaidOnceThoughTheGuestIsIdleInBetween) {
  const ToolRun run = follow_a_stop([this] {
    ring_.add_exits(20);
    std::this_thread::sleep_for(std::chrono::milliseconds(1200));  // four rounds
    ring_.add_exits(30);
  });
  EXPECT_THAT(places(run.out), ElementsAre("0:0", "0:1", "0:2", "0:52", "0:53", "0:54"));
}

// The header names vCPUs late: those that ran have numbers beyond how many are known.
TEST_F(DumpFollowTest, AVcpuWhoseNumberIsBeyondTheirCountIsShown) {
  TestRing late(tool_.file(""), trace_.session(), 7);
  late.add_exits(1).add_exit_without_answer();
  const ToolRun run = follow("", "^7:1 ", [] {});
  EXPECT_THAT(places(run.out), ElementsAre("7:0", "7:1"));
}

TEST_F(DumpFollowTest, EndsWithTheRecording) {
  ring_.add_exits(2);
  std::thread other([this] {
    wait_for("0:1 ");
    lock_.reset();
  });
  const ToolRun run = tool_.run("dump --follow " + path_);
  other.join();
  EXPECT_EQ(run.status, 3);  // its recorder died: it was not sealed
  EXPECT_THAT(places(run.out), ElementsAre("0:0", "0:1"));
  EXPECT_THAT(run.err, HasSubstr("recover"));
}

}  // namespace
}  // namespace kvmtape::testing
