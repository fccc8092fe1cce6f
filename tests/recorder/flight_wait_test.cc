// Triggers that are a matter of time, by a clock that the test turns: how long the machine takes
// for the test decides nothing.
#include <gmock/gmock.h>

#include <cerrno>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "recorder/capture/vcpu_capture.h"
#include "recorder/flight/flight_recorder.h"
#include "recorder/flight/trigger.h"
#include "recorder/ring/ring_create.h"
#include "recorder/session_header.h"
#include "replayer/trace_reader.h"
#include "tests/support/fake_vcpu.h"
#include "tests/support/scratch.h"

namespace kvmtape::testing {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;

constexpr uint64_t kMillisecondNs = 1'000'000, kHourNs = 3'600'000'000'000;

// A flight recorder of one vCPU, both of the test's own thread.
class FlightWaitTest : public ::testing::Test {
 protected:
  void open(const char* triggers) {
    start_clocks(session_);
    ticks_per_second_ = session_.ticks_per_second;
    turned_by_ns_ = 0;
    auto ring = create_ring(directory_ / "vcpu.ring", {session_.uuid, 0, 0, 64 * 1024, true, true});
    ASSERT_TRUE(ring) << ring.error().to_string();
    ring_.emplace(std::move(*ring));
    auto file = TraceFile::create(path_, false, session_.uuid);
    ASSERT_TRUE(file) << file.error().to_string();
    flight_.emplace(std::move(*file), session_, *parse_triggers(triggers), 0, read_turned_clocks);
    flight_->ask_who_has_died([this](const RingHeader&) { return has_died_; });
    flight_->add_stream(ring_->header());
    ASSERT_TRUE(flight_->begin());
    capture_.emplace(ring_->header(), vcpu_.mapping(), vcpu_.mapping_bytes(), -1, CaptureOptions{});
  }
  void exit(int ret = 0, int error = 0) {
    vcpu_.set_numbered(number_++);
    capture_->exit(ret, error);
  }
  void run(int exits) {
    for (int i = 0; i < exits; ++i) {
      exit();
      capture_->enter();
    }
    flight_->pump();
    ASSERT_EQ(snapshots(), 0u);
  }
  // From now on, and what the machine takes besides.
  void pass(uint64_t ns) {
    turned_by_ns_ += ns;
    flight_->pump();
  }
  uint64_t snapshots() const { return flight_->flight_totals()->snapshots; }
  std::string trigger() const {
    auto reader = TraceReader::open(path_, {false, {}, true});
    if (!reader) return reader.error().to_string();
    return (*reader)->health().sealed ? (*reader)->session().trigger : "not sealed";
  }

  FakeVcpu vcpu_;
  std::optional<VcpuCapture> capture_;
  std::optional<FlightRecorder> flight_;
  bool has_died_ = false;

 private:
  static ClockReading read_turned_clocks() {
    ClockReading now = read_clocks();
    now.ticks += turned_by_ns_ / 1000 * ticks_per_second_ / 1'000'000;
    now.monotonic_ns += turned_by_ns_;
    return now;
  }
  inline static uint64_t turned_by_ns_ = 0, ticks_per_second_ = 0;

  ScratchDirectory directory_;
  const std::string path_ = directory_ / "vm.kvmtape";
  Session session_;
  std::optional<RingFile> ring_;
  uint64_t number_ = 0;
};

TEST_F(FlightWaitTest, AnAnswerThatDoesNotComeIsTold) {
  open("slow=1h");
  run(20);
  exit();
  pass(kHourNs / 2);
  EXPECT_EQ(snapshots(), 0u);
  pass(kHourNs);
  EXPECT_EQ(trigger(), "slow: no answer yet to exit 0:20");
}

TEST_F(FlightWaitTest, AnAnswerThatCameTooLateIsTold) {
  open("slow=10us");
  exit();
  const uint64_t begin = read_clocks().monotonic_ns;
  while (read_clocks().monotonic_ns - begin < 100'000) continue;
  capture_->enter();
  flight_->pump();
  EXPECT_EQ(trigger(), "slow: the answer to exit 0:0");
}

TEST_F(FlightWaitTest, WhatASignalEndedAsksForNoAnswer) {
  open("slow=1h,end");
  run(20);
  exit(-1, EINTR);
  pass(2 * kHourNs);
  EXPECT_EQ(snapshots(), 0u);
  ASSERT_TRUE(flight_->finish());
  EXPECT_EQ(trigger(), "end of the recording");
  EXPECT_EQ(snapshots(), 1u);
}

TEST_F(FlightWaitTest, AnAnswerThatTheEndKeptFromComingIsNoSlowMonitor) {
  open("slow=1ms,end");
  exit();
  pass(10 * kMillisecondNs);
  EXPECT_THAT(trigger(), HasSubstr("slow: no answer yet"));
  ASSERT_TRUE(flight_->finish());
  EXPECT_EQ(trigger(), "end of the recording");
  EXPECT_EQ(flight_->totals().exits, 1u);
  EXPECT_EQ(flight_->totals().files, 1u);
}

TEST_F(FlightWaitTest, AnAnswerThatDidNotComeLongBeforeTheEndIsTold) {
  open("slow=1m,end");
  run(5);
  exit();
  pass(kHourNs);
  ASSERT_TRUE(flight_->finish());
  EXPECT_THAT(trigger(), StartsWith("slow: no answer yet to exit 0:5"));
}

TEST_F(FlightWaitTest, ASilentVcpuIsToldOnce) {
  open("silent=1h");
  run(20);
  pass(kHourNs / 2);
  EXPECT_EQ(snapshots(), 0u);
  pass(kHourNs);
  EXPECT_EQ(trigger(), "silent: nothing since exit 0:19");
  pass(kHourNs);
  EXPECT_EQ(snapshots(), 1u);
}

// Of a vCPU whose last exit waits for an answer that nobody will give.
class EndedVcpuTest : public FlightWaitTest, public ::testing::WithParamInterface<bool> {};
INSTANTIATE_TEST_SUITE_P(FinishedOrDead, EndedVcpuTest, ::testing::Bool());

TEST_P(EndedVcpuTest, IsNeitherSilentNorWaitsForItsMonitor) {
  const bool is_finished = GetParam();
  open("silent=2h,slow=1h");
  exit();
  flight_->pump();
  if (is_finished)
    capture_->finish();
  else
    has_died_ = true;
  pass(4 * kHourNs);
  EXPECT_EQ(snapshots(), 0u);
  EXPECT_EQ(flight_->flight_totals()->exits, 1u);
}

}  // namespace
}  // namespace kvmtape::testing
