#include "replayer/recovery.h"

#include <gmock/gmock.h>

#include <atomic>
#include <random>
#include <thread>

#include "tests/support/scratch.h"
#include "tests/support/test_ring.h"
#include "tests/support/trace_builder.h"

namespace kvmtape::testing {
namespace {

class RecoveryTest : public ::testing::Test {
 protected:
  std::string rings() const { return scratch_.file(""); }
  SeenTrace read(const TraceBuilder& trace) {
    return read_all(trace.write_to(scratch_.file("t.kvmtape")));
  }
  ScratchDirectory scratch_;
};

TEST_F(RecoveryTest, exits_beyond_the_file_come_out_once_and_behind_those_of_the_file) {
  for (const uint64_t in_file : {0u, 1u, 7u, 30u}) {
    ScratchDirectory scratch;
    TraceBuilder trace(scratch.file(""));
    TestRing ring(scratch.file(""), trace.session(), 0);
    ring.add_exits(in_file);
    if (in_file != 0)
      trace.ring_position(0, ring.block(), ring.bytes())
          .add_exits(0, static_cast<uint32_t>(in_file))
          .cut();
    ring.add_exits(25);
    const SeenTrace seen = read_all(trace.write_to(scratch.file("t.kvmtape")));
    EXPECT_EQ(seen.seqs(0), seq_range(0, in_file + 25));
    EXPECT_EQ(seen.invented(), "");
    EXPECT_EQ(seen.health.ring_exits, 25u);
    EXPECT_EQ(seen.health.file_exits, in_file);
    EXPECT_EQ(seen.lost, 0u);
    EXPECT_THAT(seen.health.problems, ::testing::IsEmpty());
  }
}

TEST_F(RecoveryTest, nothing_is_added_when_the_file_has_it_all) {
  TraceBuilder trace(rings());
  TestRing ring(rings(), trace.session(), 0);
  ring.add_exits(12);
  trace.ring_position(0, ring.block(), ring.bytes()).add_exits(0, 12).cut();
  const SeenTrace seen = read(trace);
  EXPECT_EQ(seen.seqs(0), seq_range(0, 12));
  EXPECT_EQ(seen.health.ring_exits, 0u);
  EXPECT_EQ(seen.health.ring_count, 0u);
}

TEST_F(RecoveryTest, an_exit_that_was_never_answered_is_kept) {
  TraceBuilder trace(rings());
  TestRing ring(rings(), trace.session(), 0);
  ring.add_exits(3).add_exit_without_answer();
  const SeenTrace seen = read(trace);
  EXPECT_EQ(seen.seqs(0), seq_range(0, 4));
  EXPECT_EQ(seen.items.back().monitor_ns, std::nullopt);
}

TEST_F(RecoveryTest, what_the_producer_dropped_last_is_a_gap_at_the_end) {
  TraceBuilder trace(rings());
  TestRing ring(rings(), trace.session(), 0);
  ring.add_exits(5000);
  const uint64_t kept = 5000 - ring.dropped();
  ASSERT_GT(ring.dropped(), 0u);
  const SeenTrace seen = read(trace);
  EXPECT_EQ(seen.seqs(0), seq_range(0, kept));
  ASSERT_EQ(seen.gaps(0).size(), 1u);
  EXPECT_EQ(seen.gaps(0)[0].first_seq, kept);
  EXPECT_EQ(seen.gaps(0)[0].lost, ring.dropped());
  EXPECT_EQ(seen.gaps(0)[0].why, GapReason::kRingFull);
  EXPECT_EQ(seen.exits + seen.lost, 5000u);
}

TEST_F(RecoveryTest, a_flight_recorder_leaves_its_newest_exits_and_a_gap_before) {
  TraceBuilder trace(rings());
  TestRing ring(rings(), trace.session(), 0, true);
  ring.add_exits(5000);
  const SeenTrace seen = read(trace);
  ASSERT_FALSE(seen.seqs(0).empty());
  EXPECT_EQ(seen.seqs(0).back(), 4999u);
  ASSERT_EQ(seen.gaps(0).size(), 1u);
  EXPECT_EQ(seen.gaps(0)[0].why, GapReason::kOverwritten);
  EXPECT_EQ(seen.exits + seen.lost, 5000u);
  EXPECT_EQ(seen.invented(), "");
}

TEST_F(RecoveryTest, a_torn_last_chunk_is_found_again_in_the_ring) {
  TraceBuilder trace(rings());
  TestRing ring(rings(), trace.session(), 0);
  ring.add_exits(10);
  trace.ring_position(0, ring.block(), ring.bytes()).add_exits(0, 10).cut();
  ring.add_exits(10);
  trace.ring_position(0, ring.block(), ring.bytes()).add_exits(0, 10).flush(0);
  trace.truncate_at(trace.bytes().size() - 9);
  const SeenTrace seen = read(trace);
  EXPECT_EQ(seen.seqs(0), seq_range(0, 20));
  EXPECT_EQ(seen.lost, 0u);
  EXPECT_TRUE(seen.health.torn_at.has_value());
}

TEST_F(RecoveryTest, rings_of_other_sessions_and_versions_do_not_disturb) {
  TraceBuilder trace(rings());
  Uuid other{};
  TestRing mine(rings(), trace.session(), 0), foreign(rings(), other, 1),
      newer(rings(), trace.session(), 2);
  mine.add_exits(5);
  foreign.add_exits(5);
  newer.add_exits(5).header()->version = kRingVersion + 1;
  write_file(scratch_.file("vcpu-9.ring"), std::vector<uint8_t>(100, 1));
  const SeenTrace seen = read(trace);
  EXPECT_EQ(seen.exit_count(), 5u);
  EXPECT_EQ(seen.health.problems.size(), 2u) << "the newer one and the one cut off";
}

TEST_F(RecoveryTest, a_ring_cut_off_anywhere_never_crashes_the_reader) {
  TraceBuilder trace(rings());
  { TestRing(rings(), trace.session(), 0).add_exits(60); }
  const auto whole = file_bytes(scratch_.file("vcpu-0.ring"));
  for (size_t size = 0; size < whole.size(); size += 997) {
    write_file(scratch_.file("vcpu-0.ring"), {whole.data(), size});
    const SeenTrace seen = read(trace);
    EXPECT_EQ(seen.exit_count(), 0u);
    EXPECT_EQ(seen.health.problems.size(), 1u);
  }
}

TEST_F(RecoveryTest, a_ring_full_of_noise_never_crashes_the_reader) {
  TraceBuilder trace(rings());
  { TestRing(rings(), trace.session(), 0).add_exits(200); }
  const auto whole = file_bytes(scratch_.file("vcpu-0.ring"));
  std::mt19937 random(7);
  for (int round = 0; round < 300; ++round) {
    auto bytes = whole;
    for (int i = 0; i < 8; ++i)
      bytes[round % 2 == 0 ? random() % bytes.size() : 4096 + random() % 2000] =
          static_cast<uint8_t>(random());
    write_file(scratch_.file("vcpu-0.ring"), bytes);
    const SeenTrace seen = read(trace);
    uint64_t next = 0;
    for (uint64_t seq : seen.seqs(0)) {
      ASSERT_GE(seq, next);
      next = seq + 1;
    }
  }
}

TEST_F(RecoveryTest, a_ring_that_is_being_written_gives_what_is_consistent) {
  TraceBuilder trace(rings());
  TestRing ring(rings(), trace.session(), 0, true);
  ring.add_exits(10);
  std::atomic<bool> stop = false;
  std::thread producer([&] {
    while (!stop) ring.add_exits(50);
  });
  // It may go round its ring faster than anybody copies that: then there is nothing, but nothing
  // false.
  for (int round = 0; round < 30; ++round) EXPECT_EQ(read(trace).invented(), "");
  stop = true;
  producer.join();
  const SeenTrace at_rest = read(trace);
  EXPECT_EQ(at_rest.invented(), "");
  EXPECT_GT(at_rest.exit_count(), 0u);
}

}  // namespace
}  // namespace kvmtape::testing
