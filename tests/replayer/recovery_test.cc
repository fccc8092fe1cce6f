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
  // Exits that are in the ring and go into the file's next chunk.
  static TraceBuilder& add_to_both(TraceBuilder& trace, TestRing& ring, uint32_t exits) {
    ring.add_exits(exits);
    return trace.ring_position(0, ring.block(), ring.bytes()).add_exits(0, exits);
  }
  // Two chunks of ten exits, the last of which breaks off.
  static void ten_and_ten_torn_in_the_file(TraceBuilder& trace, TestRing& ring) {
    add_to_both(trace, ring, 10).cut();
    add_to_both(trace, ring, 10).flush(0);
    trace.truncate_at(trace.bytes().size() - 9);
  }
  // "88+12 ring full", a line for each.
  static std::string gaps_of(const SeenTrace& seen) {
    std::string text;
    for (const Gap& gap : seen.gaps(0))
      text += std::to_string(gap.first_seq) + "+" + std::to_string(gap.lost) + " " +
              std::string(to_string(gap.why)) + "\n";
    return text;
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

TEST_F(RecoveryTest, of_rings_alone_it_is_known_how_many_vcpus_have_none) {
  TraceBuilder trace(rings());
  trace.edit_session().vcpus = {{0, 0, 0}, {1, 1, 0}, {2, 2, 0}};
  std::vector<uint8_t> header;
  encode_session(trace.edit_session(), header);
  trace.append_chunk(header).write_to(scratch_.file(kHeaderCopyName));
  TestRing ring(rings(), trace.session(), 1);
  ring.add_exits(25);
  const SeenTrace seen = read_all(scratch_.path());
  EXPECT_EQ(seen.seqs(1), seq_range(0, 25));
  EXPECT_EQ(seen.lost, 0u);
  EXPECT_EQ(seen.health.vcpus_without_ring, 2u);
  // So that a recovered copy does not pass for all that there was.
  TraceHealth health = seen.health;
  health.ring_writer_pid = 0;  // ours
  EXPECT_EQ(health.open_end(), OpenEnd::kUnsealed);
}

TEST_F(RecoveryTest, nothing_is_added_when_the_file_has_it_all) {
  TraceBuilder trace(rings());
  TestRing ring(rings(), trace.session(), 0);
  add_to_both(trace, ring, 12).cut();
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
  ten_and_ten_torn_in_the_file(trace, ring);
  const SeenTrace seen = read(trace);
  EXPECT_EQ(seen.seqs(0), seq_range(0, 20));
  EXPECT_EQ(seen.lost, 0u);
  EXPECT_TRUE(seen.health.torn_at.has_value());
}

TEST_F(RecoveryTest, what_came_while_the_recording_was_stopped_is_a_gap_that_says_so) {
  TraceBuilder trace(rings());
  TestRing ring(rings(), trace.session(), 0);
  add_to_both(trace, ring, 10).cut();
  RingReader drain(ring.header());
  drain.stop(10);
  ring.add_exits(25);
  EXPECT_EQ(gaps_of(read(trace)), "10+25 recording stopped\n");
  EXPECT_EQ(read(trace).seqs(0), seq_range(0, 10));
  for (int round = 0; round < 20; ++round) {  // of the ring, until nothing of before is in it
    ring.add_exits(200);
    while (!drain.poll().words.empty()) continue;
    drain.release(drain.position());
  }
  EXPECT_EQ(gaps_of(read(trace)), "10+4025 recording stopped\n");
  drain.go_on(4035);
  ring.add_exits(5);
  const SeenTrace seen = read(trace);
  EXPECT_EQ(gaps_of(seen), "10+4025 recording stopped\n");
  EXPECT_EQ(seen.exit_count(), 15u);
  EXPECT_EQ(seen.seqs(0).back(), 4039u);
  EXPECT_EQ(seen.invented(), "");
}

TEST_F(RecoveryTest, what_was_overwritten_behind_a_stop_is_told_apart) {
  TraceBuilder trace(rings());
  TestRing ring(rings(), trace.session(), 0, true);
  add_to_both(trace, ring, 10).cut();
  RingReader drain(ring.header());
  drain.stop(10);
  ring.add_exits(100);
  drain.go_on(110);
  ring.add_exits(4890);
  const SeenTrace seen = read(trace);
  ASSERT_EQ(seen.gaps(0).size(), 2u);
  EXPECT_THAT(gaps_of(seen),
              ::testing::MatchesRegex("10.100 recording stopped\n110.[0-9]+ overwritten\n"));
  EXPECT_EQ(seen.seqs(0).back(), 4999u);
  EXPECT_EQ(seen.exits + seen.lost, 5000u);
}

TEST_F(RecoveryTest, what_the_file_lost_of_before_a_stop_is_found_in_the_ring) {
  TraceBuilder trace(rings());
  TestRing ring(rings(), trace.session(), 0);
  ten_and_ten_torn_in_the_file(trace, ring);
  RingReader(ring.header()).stop(20);
  ring.add_exits(15);
  const SeenTrace seen = read(trace);
  EXPECT_EQ(seen.seqs(0), seq_range(0, 20));
  EXPECT_EQ(gaps_of(seen), "20+15 recording stopped\n");
}

TEST_F(RecoveryTest, exits_that_found_no_room_while_it_was_stopped_belong_to_that) {
  TraceBuilder trace(rings());
  TestRing ring(rings(), trace.session(), 0);
  add_to_both(trace, ring, 10).cut();
  RingReader(ring.header()).stop(10);
  ring.add_exits(5000);
  ASSERT_GT(ring.dropped(), 0u);
  EXPECT_EQ(gaps_of(read(trace)), "10+5000 recording stopped\n");
}

TEST_F(RecoveryTest, exits_that_found_no_room_before_it_was_stopped_are_not_laid_to_that) {
  TraceBuilder trace(rings());
  TestRing ring(rings(), trace.session(), 0);
  ring.add_exits(5000);
  const uint64_t dropped = ring.dropped(), kept = 5000 - dropped;
  trace.ring_position(0, ring.block(), ring.bytes())
      .add_exits(0, static_cast<uint32_t>(kept))
      .cut();
  RingReader drain(ring.header());
  while (!drain.poll().words.empty()) continue;
  drain.stop(kept, dropped);
  const std::string full = std::to_string(kept) + "+" + std::to_string(dropped) + " ring full\n";
  EXPECT_EQ(gaps_of(read(trace)), full) << "nothing came since";
  drain.release(drain.position());
  ring.add_exits(100);
  EXPECT_EQ(gaps_of(read(trace)), full + "5000+100 recording stopped\n");
  drain.go_on(5100);
  ring.add_exits(5);
  const SeenTrace seen = read(trace);
  EXPECT_EQ(gaps_of(seen), full + "5000+100 recording stopped\n");
  EXPECT_EQ(seen.exits + seen.lost, 5105u);
  EXPECT_EQ(seen.invented(), "");
}

TEST_F(RecoveryTest, a_ring_that_nobody_empties_is_not_stopped_by_who_does) {
  TraceBuilder trace(rings());
  TestRing ring(rings(), trace.session(), 0, true);
  ring.header()->coalesce = 1;
  ring.add_exits(10);
  RingReader(ring.header()).stop(0);
  EXPECT_EQ(read(trace).seqs(0), seq_range(0, 10));
}

TEST_F(RecoveryTest, whatever_a_ring_says_was_stopped_every_exit_counts_once) {
  constexpr uint64_t kLast = ~uint64_t{0};
  const uint64_t values[] = {0, 1, 5, 10, 17, 34, 35, 36, kLast >> 1, kLast - 1, kLast};
  for (const bool in_file : {false, true})
    for (const uint64_t from : values)
      for (const uint64_t to : values) {
        const uint64_t dropped = values[(from + to) % std::size(values)];
        SCOPED_TRACE(std::to_string(from) + " to " + std::to_string(to) + ", dropped " +
                     std::to_string(dropped));
        ScratchDirectory scratch;
        TraceBuilder trace(scratch.file(""));
        TestRing ring(scratch.file(""), trace.session(), 0);
        ring.add_exits(10);
        if (in_file) trace.ring_position(0, ring.block(), ring.bytes()).add_exits(0, 10).cut();
        ring.add_exits(25);
        ring.header()->stopped_from = from;
        ring.header()->stopped_to = to;
        ring.header()->stopped_dropped = dropped;
        const SeenTrace seen = read_all(trace.write_to(scratch.file("t.kvmtape")));
        const uint64_t first = std::min<uint64_t>(std::max<uint64_t>(from, in_file ? 10 : 0), 35);
        const uint64_t stopped = std::min<uint64_t>(to, 35) - std::min({to, first, uint64_t{35}});
        EXPECT_EQ(seen.exit_count(), 35 - stopped);
        EXPECT_EQ(seen.lost, stopped);
        EXPECT_EQ(seen.invented(), "");
        EXPECT_THAT(seen.health.problems, ::testing::IsEmpty());
      }
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
