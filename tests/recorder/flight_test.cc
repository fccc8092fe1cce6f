// The flight recorder through the embedding API: writes nothing until a trigger, then a complete
// trace that says why.
#include <gmock/gmock.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <thread>

#include "recorder/flight/trigger.h"
#include "replayer/trace_reader.h"
#include "tests/support/test_session.h"

namespace kvmtape::testing {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;

const TraceReader::Options kFileAlone{false, {}, true};

class FlightTest : public ::testing::Test {
 protected:
  FlightTest() {
    session_.options.flight_bytes = 64 * 1024;
    session_.options.registers = KVMTAPE_REGISTERS_NEVER;
  }
  void open(const char* triggers) {
    session_.options.triggers = triggers;
    ASSERT_TRUE(session_.open()) << session_.error.text;
    tape_ = session_.attach(0, vcpu_);
    ASSERT_NE(tape_, nullptr);
  }
  void run(uint64_t exits) {
    for (uint64_t i = 0; i < exits; ++i) session_.run_numbered(tape_, vcpu_, number_++);
  }
  void run_reason(uint32_t reason) {
    vcpu_.set_reason(reason);
    kvmtape_exit(tape_, 0, 0);
    kvmtape_enter(tape_);
  }
  std::string file(int number) const {
    return number == 1 ? session_.path
                       : session_.path.substr(0, session_.path.size() - 7) +
                             std::to_string(number) + ".kvmtape";
  }
  // Waits until snapshot `number` is sealed, seconds at most.
  std::unique_ptr<TraceReader> wait_for(int number) {
    for (int ms = 0; ms < 20'000; ms += 5) {
      auto reader = TraceReader::open(file(number), kFileAlone);
      if (reader && (*reader)->health().sealed) return std::move(*reader);
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
    ADD_FAILURE() << file(number) << " is not there";
    return nullptr;
  }
  void take_snapshots(int count) {
    for (int i = 1; i <= count; ++i) {
      run(10);
      ASSERT_EQ(kvmtape_snapshot(session_.session, "mine", &session_.error), 0)
          << session_.error.text;
      auto reader = wait_for(i);
      EXPECT_EQ(reader->session().trigger, "mine");
      EXPECT_EQ(exits_in(*reader), 10u * static_cast<uint64_t>(i));
    }
  }
  static uint64_t exits_in(TraceReader& reader) {
    uint64_t exits = 0;
    for (Item item; reader.next(item);) {
      EXPECT_NE(item.kind, Item::Kind::kGap);
      exits += item.kind == Item::Kind::kExit ? 1 : 0;
      if (item.kind == Item::Kind::kRepeat) exits += item.repeat.count;
    }
    return exits;
  }

  TestSession session_;
  FakeVcpu vcpu_;
  kvmtape_vcpu* tape_ = nullptr;
  uint64_t number_ = 0;
};

TEST_F(FlightTest, NothingIsWrittenUntilTheEnd) {
  open(nullptr);
  run(500);
  auto waiting = TraceReader::open(file(1), kFileAlone);
  ASSERT_TRUE(waiting);
  EXPECT_EQ((*waiting)->exits(), 0u);
  EXPECT_EQ(session_.close(), 0) << session_.error.text;
  auto reader = wait_for(1);
  EXPECT_EQ(reader->session().trigger, "end of the recording");
  EXPECT_EQ(exits_in(*reader), 500u);
  EXPECT_FALSE(std::filesystem::exists(file(2)));
}

TEST_F(FlightTest, TheLastExitsAreKeptAndTheOldestAreNoLoss) {
  open("end");
  run(100'000);
  EXPECT_EQ(session_.close(), 0) << session_.error.text;
  auto reader = wait_for(1);
  const uint64_t exits = exits_in(*reader);
  EXPECT_GT(exits, 500u);
  EXPECT_LT(exits, 100'000u);
  EXPECT_EQ(reader->lost(), 0u);
  EXPECT_EQ(reader->exits(), exits);
}

TEST_F(FlightTest, ACrashIsWrittenWhileTheMonitorRunsOn) {
  open("crash");
  run(50);
  run_reason(KVM_EXIT_INTERNAL_ERROR);
  auto reader = wait_for(1);
  EXPECT_THAT(reader->session().trigger, StartsWith("crash: exit 0:50, reason 17"));
  EXPECT_EQ(exits_in(*reader), 51u);
  EXPECT_EQ(session_.close(), 0);
  EXPECT_FALSE(std::filesystem::exists(file(2))) << "the end was not asked for";
}

TEST_F(FlightTest, WithoutATriggerNoFileStays) {
  open("crash");
  run(50);
  EXPECT_EQ(session_.close(), 0);
  EXPECT_FALSE(std::filesystem::exists(file(1)));
}

TEST_F(FlightTest, AGuestThatSpinsIsFoldedAndTold) {
  open("same=1000/1h");
  run(20);
  vcpu_.set_mmio(0xfee00030, 4, false);
  for (int i = 0; i < 3000; ++i) {
    kvmtape_exit(tape_, 0, 0);
    kvmtape_enter(tape_);
  }
  auto reader = wait_for(1);
  EXPECT_THAT(reader->session().trigger, StartsWith("same: 1000 exits of reason 6"));
  // The guest may go on while the snapshot is being written.
  const uint64_t exits = exits_in(*reader);
  EXPECT_GE(exits, 1020u);
  EXPECT_LE(exits, 3020u);
  EXPECT_GE(reader->folded(), exits - 1020);
  EXPECT_GT(reader->folded(), 500u);
}

TEST_F(FlightTest, ASilentVcpuIsTold) {
  open("silent=20ms");
  run(20);
  auto reader = wait_for(1);
  // Which one: the test may be kept from running on in between.
  EXPECT_THAT(reader->session().trigger, StartsWith("silent: nothing since exit 0:"));
}

TEST_F(FlightTest, EachSnapshotIsAFileOfItsOwnAndTheFirstAndTheNewestStay) {
  session_.options.max_files = 2;
  open("crash");
  take_snapshots(3);
  EXPECT_TRUE(std::filesystem::exists(file(1))) << "it shows how trouble began";
  EXPECT_FALSE(std::filesystem::exists(file(2)));
  EXPECT_TRUE(std::filesystem::exists(file(3)));
}

TEST_F(FlightTest, WhereOneSnapshotMayStayItIsTheNewest) {
  session_.options.max_files = 1;
  open("crash");
  take_snapshots(3);
  EXPECT_FALSE(std::filesystem::exists(file(1)));
  EXPECT_FALSE(std::filesystem::exists(file(2)));
  EXPECT_TRUE(std::filesystem::exists(file(3)));
}

class ForeignFilesTest : public FlightTest, public ::testing::WithParamInterface<unsigned> {};

TEST_P(ForeignFilesTest, OnlySnapshotsOfThisSessionAreRemoved) {
  constexpr int kForeign = 20;  // 2 to 20
  for (int i = 2; i <= kForeign; ++i) std::ofstream(file(i)) << "an earlier recording";
  session_.options.max_files = GetParam();
  open("crash");
  run(10);
  for (int i = 0; i < 4; ++i)
    ASSERT_EQ(kvmtape_snapshot(session_.session, "mine", &session_.error), 0)
        << session_.error.text;
  EXPECT_EQ(session_.close(), 0);
  for (int i = 2; i <= kForeign; ++i)
    EXPECT_EQ(std::filesystem::file_size(file(i)), 20u) << file(i);
  EXPECT_EQ(std::filesystem::exists(file(1)), GetParam() != 1);
  for (int i = 1; i <= 3; ++i)
    EXPECT_EQ(std::filesystem::exists(file(kForeign + i)), i == 3 || GetParam() > 2)
        << file(kForeign + i);
}
INSTANTIATE_TEST_SUITE_P(Bounds, ForeignFilesTest, ::testing::Values(16, 1, 2));

TEST_F(FlightTest, WhatTheRingsHoldIsTheTotalWhereTheLastSnapshotCannotBeWritten) {
  open("end");
  run(100'000);
  ASSERT_TRUE(std::filesystem::create_directory(file(1) + ".part"));  // in the snapshot's way
  EXPECT_EQ(session_.close(), -1);
  auto reader = TraceReader::open(file(1));
  ASSERT_TRUE(reader) << reader.error().to_string();
  EXPECT_GT(session_.totals.exits, 500u);
  EXPECT_EQ(session_.totals.exits, (*reader)->exits());
  EXPECT_EQ(session_.totals.lost, 0u);
  EXPECT_EQ((*reader)->lost(), 0u) << "to let go of the oldest is what it is for";
}

TEST_F(FlightTest, FileAndRingsTogetherAreReadableWhileNothingHasTriggered) {
  open("crash");
  run(100);
  auto reader = TraceReader::open(file(1));
  ASSERT_TRUE(reader) << reader.error().to_string();
  EXPECT_EQ((*reader)->exits(), 100u);
  EXPECT_EQ((*reader)->health().ring_exits, 100u);
}

TEST(Triggers, RulesAreReadAndNonsenseIsRefused) {
  const auto triggers = parse_triggers("crash,same=1000/1s,slow=10ms,silent=2m,end");
  ASSERT_TRUE(triggers);
  EXPECT_TRUE(triggers->crash && triggers->end);
  EXPECT_EQ(triggers->same_count, 1000u);
  EXPECT_EQ(triggers->same_ns, 1'000'000'000u);
  EXPECT_EQ(triggers->slow_ns, 10'000'000u);
  EXPECT_EQ(triggers->silent_ns, 120'000'000'000u);
  for (const char* rule : {"boom", "crash=1", "same=1000", "same=/1s", "slow=", "slow=10",
                           "slow=0ms", "slow=-1s", "silent=99999999999999h", "crash,,end", "=1s"})
    EXPECT_FALSE(parse_triggers(rule)) << rule;
}

}  // namespace
}  // namespace kvmtape::testing
