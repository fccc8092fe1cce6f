#include "replayer/trace_reader.h"

#include <gmock/gmock.h>

#include <fstream>

#include "tests/support/scratch.h"
#include "tests/support/trace_builder.h"

namespace kvmtape::testing {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

class TraceReaderTest : public ::testing::Test {
 protected:
  SeenTrace read(const TraceBuilder& trace, const Selection& selection = {}) {
    return read_all(trace.write_to(scratch_.file("t.kvmtape")), {}, selection);
  }
  ScratchDirectory scratch_;
};

TEST_F(TraceReaderTest, hands_out_every_exit_once_with_its_bytes) {
  TraceBuilder trace;
  trace.add_exits(0, 30).add_exits(1, 20).cut().add_exits(1, 5).seal();
  const SeenTrace seen = read(trace);
  EXPECT_EQ(seen.seqs(0), seq_range(0, 30));
  EXPECT_EQ(seen.seqs(1), seq_range(0, 25));
  EXPECT_EQ(seen.invented(), "");
  EXPECT_EQ(seen.exits, 55u);
  EXPECT_TRUE(seen.health.complete());
}

TEST_F(TraceReaderTest, walks_all_vcpus_in_order_of_time) {
  TraceBuilder trace;
  trace.add_exits(2, 40).add_exits(0, 40).cut().add_exits(0, 40).add_exits(7, 3).seal();
  const SeenTrace seen = read(trace);
  EXPECT_EQ(seen.items.size(), 123u);
  for (size_t i = 1; i < seen.items.size(); ++i)
    EXPECT_LE(seen.items[i - 1].time_ns, seen.items[i].time_ns) << i;
}

TEST_F(TraceReaderTest, times_are_nanoseconds_since_the_start) {
  TraceBuilder trace;
  trace.add_exits(0, 3).seal();
  const SeenTrace seen = read(trace);
  ASSERT_EQ(seen.items.size(), 3u);
  EXPECT_EQ(seen.items[2].time_ns, 200);
  EXPECT_EQ(seen.items[2].monitor_ns, 40);
  EXPECT_EQ(seen.items[2].guest_ns, 60);
  EXPECT_EQ(seen.items[0].guest_ns, std::nullopt) << "its KVM_RUN was not seen to begin";
}

TEST_F(TraceReaderTest, a_scan_finds_what_the_index_says) {
  TraceBuilder trace, unsealed;
  for (TraceBuilder* each : {&trace, &unsealed})
    each->add_exits(0, 10).add_gap(0, 4, GapReason::kRingFull).add_exits(0, 2).add_mark("m");
  const SeenTrace by_index = read(trace.seal());
  const SeenTrace by_scan = read(unsealed.cut());
  EXPECT_TRUE(by_index.health.sealed);
  EXPECT_FALSE(by_scan.health.sealed);
  EXPECT_EQ(by_scan.health.torn_at, std::nullopt);
  EXPECT_EQ(by_scan.exits, by_index.exits);
  EXPECT_EQ(by_scan.lost, 4u);
  EXPECT_EQ(by_index.lost, 4u);
  EXPECT_EQ(by_scan.items.size(), by_index.items.size());
}

TEST_F(TraceReaderTest, an_index_in_several_chunks_is_followed_to_its_beginning) {
  TraceBuilder trace;
  for (size_t i = 0; i < 20; ++i) trace.add_exits(0, 1).flush(0);
  trace.split_index().add_exits(0, 3).flush(0).split_index().add_exits(1, 2).seal();
  const SeenTrace seen = read(trace);
  EXPECT_TRUE(seen.health.sealed);
  EXPECT_FALSE(seen.health.footer_damaged);
  EXPECT_EQ(seen.seqs(0), seq_range(0, 23));
  EXPECT_EQ(seen.seqs(1), seq_range(0, 2));
}

TEST_F(TraceReaderTest, a_reason_is_new_where_the_moment_before_was_seen_and_had_another) {
  TraceBuilder trace;
  uint64_t tsc = 1'000'000;
  const auto add = [&trace, &tsc](uint8_t reason, bool answered) {
    std::vector<uint8_t> run(kCoreWords * kWordBytes);
    run[8] = reason;
    tsc += 10;
    trace.add_exit(0, {0, tsc, run, {}, answered, tsc + 1, run, {}});
  };
  add(2, true);
  add(10, true);  // replaces 2
  add(10, true);  // may be left over
  add(2, false);  // replaces 10
  add(10, true);  // what the monitor left was not seen
  trace.add_gap(0, 1, GapReason::kRingFull);
  add(2, true);  // nor here
  trace.seal();
  auto reader = TraceReader::open(trace.write_to(scratch_.file("t.kvmtape")));
  ASSERT_TRUE(reader.ok());
  std::vector<bool> is_new;
  (*reader)->rewind();
  for (Item item; (*reader)->next(item);)
    if (item.kind == Item::Kind::kExit) is_new.push_back(item.exit->reason_is_new);
  EXPECT_THAT(is_new, ElementsAre(false, true, false, true, false, false));
}

TEST_F(TraceReaderTest, gaps_repeats_marks_and_registers_stand_where_they_happened) {
  TraceBuilder trace;
  trace.add_exits(0, 2)
      .add_record(0, RecordKind::kRegisters, 0, {1, 0})
      .add_record(0, RecordKind::kRepeat, 0, {1, 3, 1000150, 1000160, 5, 9})
      .add_mark("booted")
      .add_gap(0, 7, GapReason::kFiltered)
      .add_record(0, static_cast<RecordKind>(200), 0, {1, 2, 3})
      .seal();
  const SeenTrace seen = read(trace);
  std::vector<Item::Kind> kinds;
  for (const SeenItem& item : seen.items)
    if (item.vcpu == 0) kinds.push_back(item.kind);
  EXPECT_THAT(kinds, ElementsAre(Item::Kind::kExit, Item::Kind::kExit, Item::Kind::kRegisters,
                                 Item::Kind::kRepeat, Item::Kind::kGap, Item::Kind::kOther));
  EXPECT_EQ(seen.items[3].repeat.count, 3u);
  ASSERT_EQ(seen.gaps(0).size(), 1u);
  EXPECT_EQ(seen.gaps(0)[0].first_seq, 5u) << "two exits and three repeats come before it";
  EXPECT_EQ(seen.gaps(0)[0].why, GapReason::kFiltered);
  EXPECT_EQ(seen.items.back().mark + seen.items[seen.items.size() - 2].mark +
                seen.items[seen.items.size() - 3].mark + seen.items[4].mark,
            "booted");
}

TEST_F(TraceReaderTest, selects_by_vcpu_reason_sequence_and_time) {
  TraceBuilder trace;
  trace.add_exits(0, 30).cut().add_exits(0, 30).add_exits(1, 30).cut().add_exits(0, 30).seal();
  EXPECT_THAT(read(trace, {.vcpus = {1}}).seqs(0), IsEmpty());
  EXPECT_EQ(read(trace, {.vcpus = {1}}).seqs(1), seq_range(0, 30));
  for (const SeenItem& item : read(trace, {.reasons = {2}}).items) EXPECT_EQ(item.reason, 2u);
  EXPECT_EQ(read(trace, {.reasons = {2}}).seqs(0).size(), 30u);
  EXPECT_EQ(read(trace, {.seq = {{28, 61}}}).seqs(0), seq_range(28, 62));
  EXPECT_EQ(read(trace, {.time_ns = {{3000, 3199}}}).seqs(0), seq_range(30, 32));
}

TEST_F(TraceReaderTest, selecting_by_sequence_does_not_touch_other_chunks) {
  TraceBuilder trace;
  trace.add_exits(0, 10).cut().add_exits(0, 10).seal();
  trace.flip_byte(trace.offset_of(ChunkType::kExits) + 200);
  const SeenTrace seen = read(trace, {.seq = {{10, 19}}});
  EXPECT_EQ(seen.seqs(0), seq_range(10, 20));
  EXPECT_EQ(seen.health.damaged_chunks, 0u);
}

TEST_F(TraceReaderTest, what_stands_in_two_chunks_comes_out_once) {
  TraceBuilder trace, longer;
  trace.add_exits(0, 10).flush(0);
  longer.add_exits(0, 15).flush(0);
  const uint64_t at = longer.offset_of(ChunkType::kExits);
  const std::vector<uint8_t> again(longer.bytes().begin() + static_cast<ptrdiff_t>(at),
                                   longer.bytes().end());
  trace.append_chunk(again).append_chunk(again).seal();
  const SeenTrace seen = read(trace);
  EXPECT_EQ(seen.seqs(0), seq_range(0, 15));
  EXPECT_EQ(seen.exits, 15u);
  EXPECT_EQ(seen.invented(), "");
}

class OverlapTest : public TraceReaderTest {
 protected:
  // Ten exits, and behind them a chunk that begins with the first of them again.
  static TraceBuilder ten_and(const TraceBuilder& again) {
    TraceBuilder trace;
    trace.add_exits(0, 10).flush(0);
    append_exits_of(again, trace);
    return trace;
  }
  static void append_exits_of(TraceBuilder from, TraceBuilder& to) {
    const uint64_t at = from.offset_of(ChunkType::kExits);
    to.append_chunk({from.bytes().begin() + static_cast<ptrdiff_t>(at), from.bytes().end()});
  }
  // What is shown is what is counted.
  static void expect_counted(const SeenTrace& seen, uint64_t exits, uint64_t lost) {
    uint64_t shown = seen.exit_count(), in_gaps = 0;
    for (const SeenItem& item : seen.items)
      if (item.kind == Item::Kind::kRepeat) shown += item.repeat.count;
    for (const Gap& gap : seen.gaps(0)) in_gaps += gap.lost;
    EXPECT_EQ(shown, exits);
    EXPECT_EQ(seen.health.file_exits, exits);
    EXPECT_EQ(in_gaps, lost);
    EXPECT_EQ(seen.health.lost, lost);
  }
};

TEST_F(OverlapTest, what_was_lost_once_and_recorded_once_was_recorded) {
  TraceBuilder again;
  again.add_gap(0, 10, GapReason::kRingFull).add_exits(0, 5).flush(0);
  const SeenTrace seen = read(ten_and(again));
  EXPECT_EQ(seen.seqs(0), seq_range(0, 15));
  EXPECT_EQ(seen.exits, 15u);
  expect_counted(seen, 15, 0);
}

TEST_F(OverlapTest, what_was_lost_behind_is_known_when_it_was_read) {
  TraceBuilder again;
  again.add_exits(0, 8).add_gap(0, 4, GapReason::kRingFull).add_exits(0, 3).flush(0);
  const SeenTrace seen = read(ten_and(again));
  expect_counted(seen, 13, 2);
  ASSERT_EQ(seen.gaps(0).size(), 1u);
  EXPECT_EQ(seen.gaps(0)[0].first_seq, 10u);
}

TEST_F(OverlapTest, of_a_repeat_counts_what_is_behind_the_earlier_chunk) {
  TraceBuilder again;
  again.add_exits(0, 8).add_record(0, RecordKind::kRepeat, 0, {7, 4, 0, 0, 0, 0}).flush(0);
  const SeenTrace seen = read(ten_and(again));
  EXPECT_EQ(seen.seqs(0), seq_range(0, 10));
  const auto repeat = std::ranges::find(seen.items, Item::Kind::kRepeat, &SeenItem::kind);
  ASSERT_NE(repeat, seen.items.end());
  EXPECT_EQ(repeat->repeat.count, 2u);
  EXPECT_EQ(repeat->repeat.of_seq + repeat->repeat.count, 11u) << "its last exit";
  expect_counted(seen, 12, 0);
}

TEST_F(OverlapTest, damage_takes_off_no_more_than_was_counted) {
  TraceBuilder again;
  again.add_exits(0, 15).flush(0);
  TraceBuilder trace = ten_and(again);
  trace.seal();
  trace.flip_byte(trace.offset_of(ChunkType::kExits, 1) + 200);
  const SeenTrace seen = read(trace);
  EXPECT_EQ(seen.seqs(0), seq_range(0, 10));
  EXPECT_EQ(seen.health.damaged_chunks, 1u);
  expect_counted(seen, 10, 5);
}

TEST_F(OverlapTest, columns_do_not_tell_what_stands_in_two_chunks) {
  TraceBuilder again;
  again.add_exits(0, 15).flush(0);
  const auto twice = TraceReader::open(ten_and(again).write_to(scratch_.file("o.kvmtape")));
  const auto once = TraceReader::open(again.write_to(scratch_.file("p.kvmtape")));
  ASSERT_TRUE(twice.ok() && once.ok());
  EXPECT_TRUE((*twice)->overlaps());
  EXPECT_FALSE((*once)->overlaps());
}

TEST_F(OverlapTest, a_chunk_that_is_there_twice_is_checked_twice) {
  TraceBuilder trace, same;
  trace.add_exits(0, 10).flush(0);
  append_exits_of(trace, trace);
  trace.seal();
  trace.flip_byte(trace.offset_of(ChunkType::kExits, 1) + 200);
  const auto reader = TraceReader::open(trace.write_to(scratch_.file("d.kvmtape")));
  ASSERT_TRUE(reader);
  (*reader)->verify();
  EXPECT_EQ((*reader)->health().redundant_chunks, 1u);
  EXPECT_EQ((*reader)->health().damaged_chunks, 0u);
  EXPECT_EQ((*reader)->exits(), 10u);
}

TEST_F(OverlapTest, an_index_that_names_a_chunk_that_is_gone_hides_no_copy_of_it) {
  TraceBuilder trace, copy;
  trace.add_exits(0, 6).flush(0).add_exits(0, 4).flush(0).split_index();
  copy.add_exits(0, 10).flush(0);
  append_exits_of(copy, trace);
  trace.flip_byte(trace.offset_of(ChunkType::kExits, 1) + 200);
  const SeenTrace seen = read(trace);
  EXPECT_EQ(seen.seqs(0), seq_range(0, 10));
  expect_counted(seen, 10, 0);
}

TEST_F(TraceReaderTest, of_what_was_lost_the_chunk_is_believed_and_not_the_index) {
  for (const uint64_t said : {0u, 5u, 7u}) {
    TraceBuilder trace;
    trace.add_exits(0, 4).add_gap(0, 6, GapReason::kRingFull);
    trace.add_record(0, RecordKind::kRepeat, 0, {9, 2, 0, 0, 0, 0}).add_exits(0, 3).seal();
    const auto trailer = check_file_trailer(trace.bytes());
    ASSERT_TRUE(trailer.ok());
    const uint64_t at = trailer->index_offset;
    auto index = decode_index(std::span(trace.bytes()).subspan(at));
    ASSERT_TRUE(index.ok());
    for (IndexEntry& entry : index->entries)
      if (entry.type == ChunkType::kExits) entry.lost = said;
    std::vector<uint8_t> chunk;
    encode_index(*index, trace.session(), chunk);
    std::ranges::copy(chunk, trace.bytes().begin() + static_cast<ptrdiff_t>(at));
    const SeenTrace seen = read(trace);
    EXPECT_EQ(seen.exit_count(), 7u) << said;
    ASSERT_EQ(seen.gaps(0).size(), 1u) << said;
    EXPECT_EQ(seen.gaps(0)[0].why, GapReason::kRingFull);
    EXPECT_EQ(seen.health.file_exits, 9u) << said;
    EXPECT_EQ(seen.health.lost, 6u) << said;
    EXPECT_EQ(seen.health.damaged_chunks, 0u);
    EXPECT_TRUE(seen.health.footer_damaged);
  }
}

TEST_F(TraceReaderTest, chunks_of_another_session_are_passed_over) {
  TraceBuilder trace;
  trace.add_exits(0, 4).flush(0);
  std::vector<uint8_t> foreign;
  Uuid other{};
  other.bytes[0] = 99;
  encode_cut({5, {1, 2, 3}}, other, foreign);
  trace.append_chunk(foreign).add_exits(0, 4).flush(0);
  const SeenTrace seen = read(trace);
  EXPECT_EQ(seen.seqs(0), seq_range(0, 8));
  EXPECT_EQ(seen.health.damaged_chunks, 0u);
}

TEST_F(TraceReaderTest, summaries_count_what_the_walk_hands_out) {
  TraceBuilder trace;
  trace.add_exits(0, 100).cut().add_exits(1, 50).seal();
  auto reader = TraceReader::open(trace.write_to(scratch_.file("s.kvmtape")));
  ASSERT_TRUE(reader);
  uint64_t io = 0, monitor = 0;
  (*reader)->summarize([&](uint32_t, const ChunkDecoder::Summary& summary) {
    for (uint32_t reason : summary.reasons) io += reason == 2;
    for (uint64_t ticks : summary.monitor) monitor += ticks;
  });
  EXPECT_EQ(io, 34u + 17u);
  EXPECT_EQ(monitor, 150u * kAnswerTicks);
}

uint64_t anonymous_memory_kib() {
  std::ifstream status("/proc/self/status");
  for (std::string word; status >> word;)
    if (word == "RssAnon:" && status >> word) return std::stoull(word);
  return 0;
}

TEST_F(TraceReaderTest, memory_does_not_grow_with_the_trace) {
  TraceBuilder trace;
  for (int i = 0; i < 600; ++i) trace.add_exits(0, 500).add_exits(1, 500).cut();
  auto reader = TraceReader::open(trace.seal().write_to(scratch_.file("m.kvmtape")));
  ASSERT_TRUE(reader);
  Item item;
  uint64_t exits = 0, early = 0;
  while ((*reader)->next(item))
    if (++exits == 60'000) early = anonymous_memory_kib();
  EXPECT_EQ(exits, 600'000u);
  ASSERT_GT(early, 0u);
  EXPECT_LT(anonymous_memory_kib(), early + 1024);
}

TEST_F(TraceReaderTest, says_why_a_path_is_no_trace) {
  EXPECT_EQ(read_all(scratch_.file("")).error->code, ErrorCode::kIo);
  EXPECT_THAT(read_all(scratch_.file("")).error->message, HasSubstr("directory"));
  EXPECT_EQ(read_all(scratch_.file("missing")).error->code, ErrorCode::kIo);
  EXPECT_THAT(read_all("/dev/null").error->message, HasSubstr("not a regular file"));
  write_file(scratch_.file("empty"), {});
  EXPECT_THAT(read_all(scratch_.file("empty")).error->message, HasSubstr("empty"));
  write_file(scratch_.file("other"), std::vector<uint8_t>(100'000, 'x'));
  EXPECT_EQ(read_all(scratch_.file("other")).error->code, ErrorCode::kNotATrace);
}

}  // namespace
}  // namespace kvmtape::testing
