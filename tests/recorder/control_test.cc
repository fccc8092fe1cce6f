// The control socket: whoever may steer a recording can, hostile input is refused and logged, and
// a pause becomes one gap.
#include <gmock/gmock.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <nlohmann/json.hpp>
#include <thread>

#include "recorder/control/control_server.h"
#include "recorder/control/unix_socket.h"
#include "replayer/trace_reader.h"
#include "tests/support/small_file_system.h"
#include "tests/support/test_session.h"

namespace kvmtape::testing {
namespace {

using ::testing::HasSubstr;

class ControlTest : public ::testing::Test {
 protected:
  ControlTest() {
    session_.options.control = 1;
    session_.options.registers = KVMTAPE_REGISTERS_NEVER;
  }
  void open() {
    ASSERT_TRUE(session_.open()) << session_.error.text;
    tape_ = session_.attach(0, vcpu_);
  }
  void run(int exits) {
    for (int i = 0; i < exits; ++i) session_.run_numbered(tape_, vcpu_, number_++);
  }
  // Of a recording that is stopped: with pauses, in which the ring is emptied.
  void run_stopped(int exits, kvmtape_vcpu* tape, FakeVcpu& vcpu, uint64_t& number) {
    for (int i = 0; i < exits; ++i) {
      session_.run_numbered(tape, vcpu, number++);
      if (i % 2000 == 1999) say("snapshot\n");
    }
  }
  void run_stopped(int exits) { run_stopped(exits, tape_, vcpu_, number_); }
  void exit_alone() {
    vcpu_.set_numbered(number_++);
    kvmtape_exit(tape_, 0, 0);
  }
  std::string socket() const { return control_path(session_.path); }
  // All that is answered to `bytes` until the first line's end or the connection's.
  std::string say(const std::string& bytes) {
    auto fd = connect_to(socket());
    EXPECT_TRUE(fd.ok()) << fd.error().to_string();
    if (!fd.ok()) return {};
    (void)::send(fd->get(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
    std::string reply;
    char buffer[4096];
    for (ssize_t got; reply.find('\n') == std::string::npos &&
                      (got = ::recv(fd->get(), buffer, sizeof buffer, 0)) > 0;)
      reply.append(buffer, static_cast<size_t>(got));
    return reply;
  }
  nlohmann::json ask(const std::string& line) {
    return nlohmann::json::parse(say(line + "\n"), nullptr, false);
  }

  std::string file(int number) const {
    return session_.path.substr(0, session_.path.size() - 7) + std::to_string(number) + ".kvmtape";
  }
  // Numbered exits, one gap that says that the recording was stopped, and more exits.
  static void expect_pause(const std::string& path, uint64_t before, uint64_t lost, uint64_t behind,
                           bool with_rings = false) {
    auto reader = TraceReader::open(path, {with_rings, {}, true});
    ASSERT_TRUE(reader) << reader.error().to_string();
    uint64_t next = 0, gaps = 0, exits = 0;
    for (Item item; (*reader)->next(item);) {
      if (item.kind == Item::Kind::kGap) {
        EXPECT_EQ(item.gap.why, GapReason::kStopped);
        EXPECT_EQ(item.gap.first_seq, before);
        EXPECT_EQ(item.gap.lost, lost);
        next += item.gap.lost;
        ++gaps;
      }
      if (item.kind != Item::Kind::kExit) continue;
      EXPECT_EQ(FakeVcpu::number_in(item.exit->kvm_run), next);
      EXPECT_EQ(item.exit->has_answer, next != before - 1 || gaps != 0);
      ++next;
      ++exits;
    }
    EXPECT_EQ(gaps, 1u) << path;
    EXPECT_EQ(exits, before + behind) << path;
  }

  TestSession session_;
  FakeVcpu vcpu_;
  kvmtape_vcpu* tape_ = nullptr;
  uint64_t number_ = 0;
};

TEST_F(ControlTest, TheSocketIsForItsOwnerAloneAndGoesAtTheEnd) {
  open();
  struct stat status {};
  ASSERT_EQ(::stat(socket().c_str(), &status), 0);
  EXPECT_TRUE(S_ISSOCK(status.st_mode));
  EXPECT_EQ(status.st_mode & 0777, 0600u);
  ASSERT_EQ(session_.close(), 0);
  EXPECT_NE(::stat(socket().c_str(), &status), 0);
}

TEST_F(ControlTest, StatusTellsWhatIsRecorded) {
  open();
  run(100);
  ASSERT_EQ(ask("snapshot")["done"], true);
  const auto status = ask("status");
  EXPECT_EQ(status["exits"], 100);
  EXPECT_EQ(status["lost"], 0);
  EXPECT_EQ(status["state"], "recording");
  EXPECT_EQ(status["trace"], session_.path);
  EXPECT_GT(status["bytes"], 0);
  EXPECT_EQ(status["rings"].size(), 1u);
  EXPECT_TRUE(status["snapshots"].is_null());
}

TEST_F(ControlTest, ARecordingThatIsStoppedRecordsNothingASecond) {
  open();
  run(1000);
  ASSERT_EQ(ask("stop")["done"], true);
  run_stopped(4000);
  const auto status = ask("status");
  EXPECT_EQ(status["exits_per_second"], 0);
}

TEST_F(ControlTest, WhatWasRecordedIsNoRateAnyMoreWhenSecondsHaveGoneBy) {
  open();
  run(1000);
  double rate = 1;
  for (int i = 0; i < 600 && rate > 0; ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
    rate = ask("status")["exits_per_second"];
  }
  EXPECT_EQ(rate, 0);
}

TEST_F(ControlTest, StatusSaysWhyNothingCanBeWritten) {
  SmallFileSystem small(256 * 1024);
  if (!small.mounted()) GTEST_SKIP() << small.why_not();
  session_.path = small / "vm.kvmtape";
  open();
  run(100);
  ASSERT_EQ(ask("snapshot")["done"], true);
  EXPECT_TRUE(ask("status")["write_error"].is_null());
  small.fill();
  session_.run_noisily(tape_, vcpu_, 200);
  EXPECT_TRUE(ask("snapshot").contains("error"));
  EXPECT_EQ(ask("status")["write_error"], "cannot write the trace: No space left on device");
  EXPECT_EQ(ask("status")["state"], "recording");
  small.free();
  ASSERT_EQ(ask("snapshot")["done"], true);
  EXPECT_TRUE(ask("status")["write_error"].is_null());
  ASSERT_EQ(session_.close(), 0);
}

TEST_F(ControlTest, StatusSaysOfAStopWhatTheFileAndItsRingsDo) {
  open();
  run(99);
  exit_alone();
  ASSERT_EQ(ask("stop")["done"], true);
  kvmtape_enter(tape_);
  FakeVcpu late;
  kvmtape_vcpu* tape = session_.attach(1, late);
  uint64_t stopped = 0, of_late = 0;
  auto expect_counts = [&](uint64_t exits) {
    ask("status");  // the next is answered behind another look at the rings
    const auto status = ask("status");
    EXPECT_EQ(status["exits"], exits);
    EXPECT_EQ(status["lost"], stopped + of_late);
    kvmtape_totals totals;
    kvmtape_get_totals(session_.session, &totals);
    EXPECT_EQ(totals.exits, exits);
    EXPECT_EQ(totals.lost, stopped + of_late);
    auto reader = TraceReader::open(session_.path);
    ASSERT_TRUE(reader) << reader.error().to_string();
    EXPECT_EQ((*reader)->exits(), exits);
    EXPECT_EQ((*reader)->lost(), stopped + of_late);
  };
  for (const int more : {50, 5000, 50'000, 1}) {
    run_stopped(more);
    run_stopped(10, tape, late, of_late);
    stopped += static_cast<uint64_t>(more);
    expect_counts(100);
  }
  ASSERT_EQ(ask("start")["done"], true);
  expect_counts(100);
  run(50);
  expect_counts(150);
  ASSERT_EQ(ask("stop")["done"], true);
  run_stopped(7);
  stopped += 7;
  expect_counts(150);
}

TEST_F(ControlTest, OfAFlightRecorderStatusTellsWhatWasStoppedToo) {
  session_.options.flight_bytes = 64 * 1024;
  open();
  run(100);
  ASSERT_EQ(ask("stop")["done"], true);
  run(50);
  ask("status");  // the next is answered behind another look at the rings
  EXPECT_EQ(ask("status")["exits"], 100);
  EXPECT_EQ(ask("status")["lost"], 50);
}

TEST_F(ControlTest, AFlightRecorderTellsWhatHasPassedAndHowOftenItWasWritten) {
  session_.options.flight_bytes = 64 * 1024;
  open();
  run(100);
  ASSERT_EQ(ask("snapshot")["done"], true);
  run(50);
  ASSERT_EQ(ask("snapshot again")["done"], true);
  const auto status = ask("status");
  EXPECT_EQ(status["exits"], 150);
  EXPECT_EQ(status["snapshots"], 2);
}

TEST_F(ControlTest, APauseIsOneGapOfExactlyWhatCameMeanwhile) {
  open();
  run(100);
  ASSERT_EQ(ask("stop")["done"], true);
  EXPECT_EQ(ask("status")["state"], "stopped");
  run(5000);
  ASSERT_EQ(ask("start")["done"], true);
  run(50);
  ASSERT_EQ(ask("mark after")["done"], true);
  ASSERT_EQ(session_.close(), 0);
  EXPECT_EQ(session_.totals.exits, 150u);
  EXPECT_EQ(session_.totals.lost, 5000u);
  auto reader = TraceReader::open(session_.path);
  ASSERT_TRUE(reader);
  uint64_t next = 0, gaps = 0, marks = 0;
  for (Item item; (*reader)->next(item);) {
    marks += item.kind == Item::Kind::kMark && item.mark == "after" ? 1 : 0;
    if (item.kind == Item::Kind::kGap) {
      EXPECT_EQ(item.gap.why, GapReason::kStopped);
      EXPECT_EQ(item.gap.first_seq, 100u);
      next += item.gap.lost;
      ++gaps;
    }
    if (item.kind != Item::Kind::kExit) continue;
    EXPECT_EQ(item.seq, next);
    EXPECT_EQ(FakeVcpu::number_in(item.exit->kvm_run), next);
    ++next;
  }
  EXPECT_EQ(next, 5150u);
  EXPECT_EQ(gaps, 1u);
  EXPECT_EQ(marks, 1u);
}

// File and rings as they would be left behind, after so many exits in the pause: the ring holds
// them all, or has gone round.
class ControlPauseTest : public ControlTest, public ::testing::WithParamInterface<int> {};
INSTANTIATE_TEST_SUITE_P(ControlTest, ControlPauseTest, ::testing::Values(50, 50'000));

TEST_P(ControlPauseTest, WhatIsLeftOfARecordingThatIsStoppedSaysSo) {
  const auto stopped = static_cast<uint64_t>(GetParam());
  open();
  run(99);
  exit_alone();  // its answer comes while it is stopped
  ASSERT_EQ(ask("stop")["done"], true);
  kvmtape_enter(tape_);
  run_stopped(GetParam());
  expect_pause(session_.path, 100, stopped, 0, true);
  ASSERT_EQ(session_.close(), 0);
  expect_pause(session_.path, 100, stopped, 0);
}

TEST_P(ControlPauseTest, WhatIsLeftOfARecordingThatGoesOnSaysWhenItWasStopped) {
  const auto stopped = static_cast<uint64_t>(GetParam());
  open();
  run(99);
  exit_alone();
  ASSERT_EQ(ask("stop")["done"], true);
  kvmtape_enter(tape_);
  run_stopped(GetParam() - 1);
  exit_alone();  // its answer comes when the recording goes on
  ASSERT_EQ(ask("start")["done"], true);
  expect_pause(session_.path, 100, stopped, 0, true);
  kvmtape_enter(tape_);
  run(50);
  expect_pause(session_.path, 100, stopped, 50, true);
  ASSERT_EQ(session_.close(), 0);
  expect_pause(session_.path, 100, stopped, 50);
}

TEST_P(ControlPauseTest, OneStopAfterTheOtherLeavesTwoGaps) {
  open();
  std::vector<std::pair<uint64_t, uint64_t>> expected;
  for (const int more : {1, 2, 3}) {
    run(10);
    ASSERT_EQ(ask("stop")["done"], true);
    expected.emplace_back(number_, GetParam() + more);
    run_stopped(GetParam() + more);
    if (more < 3) {
      ASSERT_EQ(ask("start")["done"], true);
    }
  }
  auto reader = TraceReader::open(session_.path);
  ASSERT_TRUE(reader) << reader.error().to_string();
  std::vector<std::pair<uint64_t, uint64_t>> gaps;
  for (Item item; (*reader)->next(item);) {
    if (item.kind != Item::Kind::kGap) continue;
    EXPECT_EQ(item.gap.why, GapReason::kStopped);
    gaps.emplace_back(item.gap.first_seq, item.gap.lost);
  }
  EXPECT_EQ(gaps, expected);
  EXPECT_EQ((*reader)->exits(), 30u);
}

// More than the ring takes while nobody empties it, as far as this machine lets it come to that.
TEST_F(ControlTest, WhatARingHasNoRoomForWhileItIsStoppedWasStoppedToo) {
  session_.options.ring_bytes = 64 << 10;
  session_.options.drain_interval_us = 1'000'000;
  open();
  run(99);
  exit_alone();
  ASSERT_EQ(ask("stop")["done"], true);
  kvmtape_enter(tape_);
  run(5000);
  expect_pause(session_.path, 100, 5000, 0, true);
  ASSERT_EQ(session_.close(), 0);
  expect_pause(session_.path, 100, 5000, 0);
  EXPECT_EQ(session_.totals.exits, 100u);
  EXPECT_EQ(session_.totals.lost, 5000u);
}

TEST_P(ControlPauseTest, OfAVcpuThatComesWhileItIsStoppedNothingIsLeft) {
  open();
  run(10);
  ASSERT_EQ(ask("stop")["done"], true);
  FakeVcpu late;
  kvmtape_vcpu* tape = session_.attach(1, late);
  uint64_t stopped = 0;
  run_stopped(GetParam(), tape, late, stopped);
  auto reader = TraceReader::open(session_.path);
  ASSERT_TRUE(reader) << reader.error().to_string();
  EXPECT_EQ((*reader)->exits(), 10u);
  EXPECT_EQ((*reader)->vcpus().at(1).exits, 0u);
  EXPECT_EQ((*reader)->vcpus().at(1).lost, stopped);
  for (Item item; (*reader)->next(item);)
    EXPECT_TRUE(item.kind != Item::Kind::kGap || item.gap.why == GapReason::kStopped);
}

TEST_F(ControlTest, WhatComesWhileAFlightRecorderIsStoppedIsInNoSnapshotAndInNoRing) {
  session_.options.flight_bytes = 64 * 1024;
  session_.options.triggers = "end,silent=1h";
  open();
  run(100);
  vcpu_.set_numbered(number_++);
  kvmtape_exit(tape_, 0, 0);  // its answer comes while stopped
  ASSERT_EQ(ask("stop")["done"], true);
  kvmtape_enter(tape_);
  run(50);
  const std::string first = ask("snapshot while stopped")["path"];
  expect_pause(first, 101, 50, 0);
  run(4950);
  EXPECT_EQ(ask("status")["exits"], 101);
  {
    auto running = TraceReader::open(file(2));  // with its rings, as they would be left behind
    ASSERT_TRUE(running) << running.error().to_string();
    EXPECT_EQ((*running)->health().ring_exits, 101u);
    EXPECT_EQ((*running)->lost(), 5000u);
  }
  ASSERT_EQ(ask("start")["done"], true);
  run(50);
  const std::string second = ask("snapshot again")["path"];
  EXPECT_EQ(ask("status")["exits"], 151);
  ASSERT_EQ(ask("stop")["done"], true);
  run(7);
  ASSERT_EQ(session_.close(), 0) << session_.error.text;
  expect_pause(second, 101, 5000, 50);
  auto last = TraceReader::open(file(3));
  ASSERT_TRUE(last) << last.error().to_string();
  EXPECT_EQ((*last)->lost(), 5007u);
}

TEST_F(ControlTest, ARunOfEqualExitsEndsWhereAFlightRecorderIsStopped) {
  session_.options.flight_bytes = 64 * 1024;
  open();
  vcpu_.set_mmio(0xfee00030, 4, false);
  auto spin = [&](int exits) {
    for (; exits > 0; --exits) {
      kvmtape_exit(tape_, 0, 0);
      kvmtape_enter(tape_);
    }
  };
  spin(100);
  ASSERT_EQ(ask("stop")["done"], true);
  spin(1000);
  ASSERT_EQ(ask("start")["done"], true);
  spin(20);
  const std::string path = ask("snapshot")["path"];
  auto reader = TraceReader::open(path, {false, {}, true});
  ASSERT_TRUE(reader);
  EXPECT_EQ((*reader)->lost(), 1000u);
  EXPECT_EQ((*reader)->exits(), 120u);
}

TEST_F(ControlTest, HostileInputIsRefusedAndLoggedAndTheNextClientIsServed) {
  open();
  EXPECT_THAT(say("fly\n"), HasSubstr("error"));
  EXPECT_THAT(say(std::string("status\0\n", 8)), HasSubstr("control characters"));
  EXPECT_THAT(say(std::string(1 << 16, 'x')), HasSubstr("too long"));
  EXPECT_THAT(say("mark \n"), HasSubstr("needs a text"));
  EXPECT_EQ(ask("status")["state"], "recording");
  ASSERT_EQ(session_.close(), 0);
  auto reader = TraceReader::open(session_.path);
  ASSERT_TRUE(reader);
  std::string marks;
  for (Item item; (*reader)->next(item);)
    if (item.kind == Item::Kind::kMark) marks += std::string(item.mark) + "\n";
  EXPECT_THAT(marks, HasSubstr("ctl: refused a request"));
  EXPECT_THAT(marks, HasSubstr("needs a text")) << "the last, which nothing follows";
}

TEST_F(ControlTest, WhatIsRefusedIsToldThoughNothingFollows) {
  open();
  say("fly\n");
  say("flee\n");
  // What is refused within a second of the last is told when that is over, or with the next.
  int told = 0;
  for (int i = 0; i < 400 && told < 2; ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
    auto reader = TraceReader::open(session_.path);
    ASSERT_TRUE(reader) << reader.error().to_string();
    told = 0;
    for (Item item; (*reader)->next(item);)
      told += item.kind == Item::Kind::kMark && item.mark.starts_with("ctl: refused a request");
  }
  EXPECT_EQ(told, 2);
}

TEST_F(ControlTest, AnotherUserIsRefused) {
  if (::geteuid() != 0) GTEST_SKIP() << "only root can become another user";
  open();
  ASSERT_EQ(::chmod(socket().c_str(), 0666), 0);
  ASSERT_EQ(::chmod(session_.path.substr(0, session_.path.rfind('/')).c_str(), 0755), 0);
  const pid_t child = ::fork();
  if (child == 0) {
    if (::setresuid(65534, 65534, 65534) != 0) ::_exit(2);
    auto fd = connect_to(socket());
    if (!fd.ok()) ::_exit(3);
    (void)::send(fd->get(), "stop\n", 5, MSG_NOSIGNAL);
    char byte;
    ::_exit(::recv(fd->get(), &byte, 1, 0) <= 0 ? 0 : 4);
  }
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  EXPECT_EQ(WEXITSTATUS(status), 0);
  EXPECT_EQ(ask("status")["state"], "recording");
}

TEST_F(ControlTest, WhatLiesInTheWayIsLeftAlone) {
  write_file(socket(), std::vector<uint8_t>{1, 2, 3});
  open();
  run(10);
  EXPECT_EQ(session_.close(), 0) << "recording does without";
  EXPECT_EQ(::access(socket().c_str(), F_OK), 0);
}

}  // namespace
}  // namespace kvmtape::testing
