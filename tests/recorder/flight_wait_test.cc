// Triggers that are a matter of time, by a clock that the test turns: how long the machine takes
// for the test decides nothing.
#include <gmock/gmock.h>

#include <cerrno>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

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

using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::StartsWith;

constexpr uint64_t kMillisecondNs = 1'000'000, kHourNs = 3'600'000'000'000;

// A flight recorder and its vCPUs, all of the test's own thread.
class FlightWaitTest : public ::testing::Test {
 protected:
  void open(const char* triggers, uint32_t vcpus = 1) {
    start_clocks(session_);
    now_ = session_.start;
    ticks_per_second_ = session_.ticks_per_second;
    auto file = TraceFile::create(path_, false, session_.uuid);
    ASSERT_TRUE(file) << file.error().to_string();
    flight_.emplace(std::move(*file), session_, *parse_triggers(triggers), 0, [] { return now_; });
    flight_->ask_who_has_died([this](const RingHeader&) { return has_died_; });
    for (uint32_t index = 0; index < vcpus; ++index) {
      auto ring = create_ring(directory_ / ("vcpu-" + std::to_string(index) + ".ring"),
                              {session_.uuid, index, index, 64 * 1024, true, true});
      ASSERT_TRUE(ring) << ring.error().to_string();
      vcpus_.push_back(std::make_unique<Vcpu>(std::move(*ring)));
      flight_->add_stream(vcpus_.back()->ring.header());
    }
    ASSERT_TRUE(flight_->begin());
  }
  void exit(int ret = 0, int error = 0) {
    vcpus_[0]->page.set_numbered(number_++);
    vcpus_[0]->capture.exit_at(now_.ticks, ret, error);
  }
  void enter() { vcpus_[0]->capture.enter_at(now_.ticks); }
  void run(int exits) {
    for (int i = 0; i < exits; ++i) {
      turn(kMillisecondNs);
      exit();
      enter();
    }
    flight_->pump();
    ASSERT_EQ(snapshots(), 0u);
  }
  // Whole milliseconds.
  void turn(uint64_t ns) {
    now_.ticks += ns / kMillisecondNs * ticks_per_second_ / 1000;
    now_.monotonic_ns += ns;
    now_.realtime_ns += ns;
  }
  void pass(uint64_t ns) {
    turn(ns);
    flight_->pump();
  }
  void crash_all() {
    for (const auto& vcpu : vcpus_) {
      vcpu->page.set_reason(KVM_EXIT_INTERNAL_ERROR);
      vcpu->capture.exit_at(now_.ticks, 0, 0);
      vcpu->capture.enter_at(now_.ticks);
    }
  }
  uint64_t snapshots() const { return flight_->flight_totals()->snapshots; }
  std::string file(int number) const {
    return number == 1 ? path_ : directory_ / ("vm." + std::to_string(number) + ".kvmtape");
  }
  std::string trigger(int number = 1) const {
    auto reader = TraceReader::open(file(number), {false, {}, true});
    if (!reader) return reader.error().to_string();
    return (*reader)->health().sealed ? (*reader)->session().trigger : "not sealed";
  }

  struct Vcpu {
    explicit Vcpu(RingFile of) : ring(std::move(of)) {}
    RingFile ring;
    FakeVcpu page;
    VcpuCapture capture{ring.header(), page.mapping(), page.mapping_bytes(), -1, {}};
  };
  std::vector<std::unique_ptr<Vcpu>> vcpus_;
  std::optional<FlightRecorder> flight_;
  bool has_died_ = false;

 private:
  inline static ClockReading now_;
  inline static uint64_t ticks_per_second_ = 0;

  ScratchDirectory directory_;
  const std::string path_ = directory_ / "vm.kvmtape";
  Session session_;
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
  turn(kMillisecondNs);
  enter();
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
  EXPECT_FALSE(std::filesystem::exists(file(2)));
}

TEST_F(FlightWaitTest, AnAnswerThatTheEndKeptFromComingIsNoSlowMonitor) {
  open("slow=1ms,end");
  exit();
  pass(10 * kMillisecondNs);
  EXPECT_THAT(trigger(), HasSubstr("slow: no answer yet"));
  ASSERT_TRUE(flight_->finish());
  EXPECT_EQ(trigger(), "end of the recording");
  EXPECT_EQ(flight_->totals().exits, 1u);
  EXPECT_FALSE(std::filesystem::exists(file(2)));
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
  ASSERT_TRUE(flight_->finish());
  EXPECT_EQ(snapshots(), 1u);
}

TEST_F(FlightWaitTest, TheEndIsNamedBesideWhatWasDueAndSoIsHowManyReasonsThereWere) {
  open("crash,end", 9);
  ASSERT_TRUE(flight_->snapshot("first"));
  crash_all();
  pass(kMillisecondNs);
  EXPECT_EQ(snapshots(), 1u) << "there is one a second";
  ASSERT_TRUE(flight_->finish());
  EXPECT_THAT(trigger(2), StartsWith("crash: exit 0:0, reason 17; crash: exit 1:0, reason 17; "));
  EXPECT_THAT(trigger(2), EndsWith("crash: exit 6:0, reason 17; and 2 more; end of the recording"));
  EXPECT_EQ(snapshots(), 2u);
  EXPECT_FALSE(std::filesystem::exists(file(3)));
}

TEST_F(FlightWaitTest, WhatIsDueIsWrittenWhenASecondHasGoneByAndOnce) {
  open("crash", 2);
  ASSERT_TRUE(flight_->snapshot("first"));
  crash_all();
  for (int second = 0; second < 3; ++second) pass(1000 * kMillisecondNs);
  EXPECT_EQ(trigger(2), "crash: exit 0:0, reason 17; crash: exit 1:0, reason 17");
  EXPECT_EQ(snapshots(), 2u);
}

TEST_F(FlightWaitTest, AVcpuThatGoesOnIsSlowAndSilent) {
  open("silent=2h,slow=1h");
  exit();
  pass(kHourNs + kMillisecondNs);
  EXPECT_EQ(trigger(), "slow: no answer yet to exit 0:0");
  pass(3 * kHourNs);
  EXPECT_EQ(trigger(2), "silent: nothing since exit 0:0");
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
    vcpus_[0]->capture.finish();
  else
    has_died_ = true;
  pass(4 * kHourNs);
  EXPECT_EQ(snapshots(), 0u);
  EXPECT_EQ(flight_->flight_totals()->exits, 1u);
}

}  // namespace
}  // namespace kvmtape::testing
