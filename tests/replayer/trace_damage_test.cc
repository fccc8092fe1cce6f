// Every way in which a small trace can be broken by one cut or one flipped byte: never a crash,
// never an invented exit, and what is readable is read.
#include <gmock/gmock.h>

#include "schema/base/crc32c.h"
#include "schema/file_order.h"
#include "tests/support/scratch.h"
#include "tests/support/trace_builder.h"

namespace kvmtape::testing {
namespace {

class TraceDamageTest : public ::testing::Test {
 protected:
  // Four chunks of exits, two cuts, two session chunks and a footer.
  static TraceBuilder small_trace() {
    TraceBuilder trace;
    trace.add_exits(0, 6).add_exits(1, 3).cut().add_exits(0, 4).add_mark("mark").add_exits(1, 2);
    trace.seal();
    return trace;
  }
  SeenTrace read(const TraceBuilder& trace) {
    return read_all(trace.write_to(scratch_.file("t.kvmtape")));
  }
  ScratchDirectory scratch_;
};

TEST_F(TraceDamageTest, a_trace_cut_at_any_byte_gives_a_prefix) {
  TraceBuilder whole = small_trace();
  uint64_t most = 0;
  for (size_t size = 0; size <= whole.bytes().size(); ++size) {
    TraceBuilder trace = whole;
    const SeenTrace seen = read(trace.truncate_at(size));
    if (seen.error) {
      ASSERT_LT(size, sizeof(FileHeader)) << seen.error->to_string();
      continue;
    }
    ASSERT_EQ(seen.invented(), "") << size;
    ASSERT_GE(seen.exit_count(), most) << size;
    most = seen.exit_count();
    ASSERT_EQ(seen.exit_count(), seen.exits) << size;
    ASSERT_EQ(seen.health.damaged_chunks, 0u) << "torn, not corrupt, at " << size;
    ASSERT_EQ(seen.lost, 0u) << size;
  }
  EXPECT_EQ(most, 15u);
}

TEST_F(TraceDamageTest, a_flipped_byte_anywhere_never_invents_an_exit) {
  TraceBuilder whole = small_trace();
  for (size_t at = 0; at < whole.bytes().size(); ++at) {
    for (const uint8_t bits : {uint8_t{0x01}, uint8_t{0x80}, uint8_t{0xff}}) {
      TraceBuilder trace = whole;
      const SeenTrace seen = read(trace.flip_byte(at, bits));
      ASSERT_FALSE(seen.error) << at << ": " << seen.error->to_string();
      ASSERT_EQ(seen.invented(), "") << at;
      ASSERT_GE(seen.exit_count(), 15u - 6u) << "one chunk at most is lost, at " << at;
      ASSERT_EQ(seen.exit_count() == 15 || !seen.health.complete(), true) << at;
      ASSERT_EQ(seen.health.damaged_chunks == 0, seen.health.damaged_bytes == 0) << at;
      ASSERT_LE(seen.health.damaged_bytes, whole.bytes().size()) << at;
    }
  }
}

TEST_F(TraceDamageTest, a_flipped_byte_in_an_unsealed_trace_costs_one_chunk_and_says_so) {
  TraceBuilder whole;
  whole.add_exits(0, 6).add_exits(1, 3).cut().add_exits(0, 4).add_exits(1, 2).cut();
  const size_t body = whole.offset_of(ChunkType::kExits);
  for (size_t at = sizeof(FileHeader); at < whole.bytes().size(); ++at) {
    TraceBuilder trace = whole;
    const SeenTrace seen = read(trace.flip_byte(at));
    ASSERT_FALSE(seen.error) << at;
    ASSERT_EQ(seen.invented(), "") << at;
    ASSERT_GE(seen.exit_count(), 9u) << at;
    if (at >= body && at < trace.offset_of(ChunkType::kExits, 1)) {
      ASSERT_EQ(seen.gaps(0).size(), 1u) << at;
      ASSERT_EQ(seen.gaps(0)[0].lost, 6u) << at;
      ASSERT_EQ(seen.gaps(0)[0].why, GapReason::kDamaged);
      ASSERT_EQ(seen.lost, 6u);
    }
  }
}

TEST_F(TraceDamageTest, a_damaged_chunk_becomes_a_gap_of_its_size) {
  TraceBuilder trace = small_trace();
  const SeenTrace seen = read(trace.flip_byte(trace.offset_of(ChunkType::kExits) + 150));
  ASSERT_EQ(seen.gaps(0).size(), 1u);
  EXPECT_EQ(seen.gaps(0)[0].first_seq, 0u);
  EXPECT_EQ(seen.gaps(0)[0].lost, 6u);
  EXPECT_EQ(seen.gaps(0)[0].why, GapReason::kDamaged);
  EXPECT_EQ(seen.health.damaged_chunks, 1u);
  EXPECT_EQ(seen.health.file_exits, 9u);
  EXPECT_EQ(seen.health.lost, 6u);
}

TEST_F(TraceDamageTest, a_summary_counts_the_damaged_chunk_as_the_walk_does) {
  TraceBuilder trace = small_trace();
  trace.flip_byte(trace.offset_of(ChunkType::kExits) + 150);
  auto reader = TraceReader::open(trace.write_to(scratch_.file("t.kvmtape")));
  ASSERT_TRUE(reader);
  uint64_t exits = 0;
  (*reader)->summarize(
      [&](uint32_t, const ChunkDecoder::Summary& chunk) { exits += chunk.reasons.size(); });
  EXPECT_EQ(exits, 9u);
  EXPECT_EQ((*reader)->exits(), 9u);
  EXPECT_EQ((*reader)->lost(), 6u);
  EXPECT_EQ((*reader)->vcpus()[0].lost, 6u);
  EXPECT_EQ((*reader)->health().damaged_chunks, 1u);
  for (Item item; (*reader)->next(item);) continue;
  EXPECT_EQ((*reader)->lost(), 6u) << "counted once, whoever finds it";
}

TEST_F(TraceDamageTest, a_lost_head_leaves_everything_readable) {
  TraceBuilder trace = small_trace();
  for (uint64_t at = 0; at < trace.offset_of(ChunkType::kExits); at += 8) trace.flip_byte(at);
  const SeenTrace seen = read(trace);
  EXPECT_TRUE(seen.health.head_lost);
  EXPECT_EQ(seen.exit_count(), 15u);
  EXPECT_TRUE(seen.health.complete());
}

TEST_F(TraceDamageTest, a_head_cut_off_at_an_odd_place_is_said_and_can_be_mended) {
  const TraceBuilder whole = small_trace();
  for (const ptrdiff_t cut : {1, 7, 50, 203}) {
    TraceBuilder trace = whole;
    trace.bytes().erase(trace.bytes().begin(), trace.bytes().begin() + cut);
    const SeenTrace seen = read(trace);
    ASSERT_TRUE(seen.error) << cut;
    EXPECT_EQ(seen.error->code, ErrorCode::kCorrupt) << cut;
    const auto missing = static_cast<size_t>(cut % 8);
    EXPECT_THAT(seen.error->message,
                ::testing::HasSubstr("put " + std::to_string(missing) + " bytes"));
    trace.bytes().insert(trace.bytes().begin(), missing, 0);
    EXPECT_EQ(read(trace).exit_count(), 15u) << cut;
  }
}

TEST_F(TraceDamageTest, chunks_that_are_gone_are_missed_where_the_index_names_them) {
  const TraceBuilder whole = small_trace();
  for (const size_t number : {0u, 1u, 2u, 3u}) {
    TraceBuilder trace = whole;
    const uint64_t at = trace.offset_of(ChunkType::kExits, number);
    const auto header = load_file_struct<ChunkHeader>(&trace.bytes()[at]);
    const auto begin = trace.bytes().begin() + static_cast<ptrdiff_t>(at);
    trace.bytes().erase(begin, begin + header.header_bytes + header.body_bytes);
    const SeenTrace seen = read(trace);
    EXPECT_EQ(seen.invented(), "") << number;
    EXPECT_EQ(seen.exit_count(), 15u - header.exits) << number;
    EXPECT_EQ(seen.exits, seen.exit_count()) << number;
    EXPECT_EQ(seen.lost, header.exits) << number;
    EXPECT_EQ(seen.health.damaged_chunks, 1u) << number;
    uint64_t in_gaps = 0;
    for (const Gap& gap : seen.gaps(header.vcpu_index)) in_gaps += gap.lost;
    EXPECT_EQ(in_gaps, header.exits) << number;
  }
}

TEST_F(TraceDamageTest,
       bytes_lost_in_the_middle_beside_a_multiple_of_8_are_said_and_can_be_mended) {
  TraceBuilder trace = small_trace();
  auto begin = trace.bytes().begin();
  begin += static_cast<ptrdiff_t>(trace.offset_of(ChunkType::kExits, 1) + sizeof(ChunkHeader));
  while (*begin == 0 || begin[1] == 0 || begin[2] == 0) ++begin;  // zeros would be put back
  trace.bytes().erase(begin, begin + 3);
  SeenTrace seen = read(trace);
  EXPECT_GE(seen.health.damaged_chunks, 1u);
  ASSERT_FALSE(seen.health.problems.empty());
  EXPECT_THAT(seen.health.problems.front().message, ::testing::HasSubstr("head -c 3 /dev/zero"));
  trace.bytes().insert(begin, 3, 0);
  seen = read(trace);
  EXPECT_EQ(seen.gaps(1).front().lost, 3u);
  EXPECT_EQ(seen.exit_count(), 12u);
}

TEST_F(TraceDamageTest, without_any_session_chunk_the_exits_say_their_architecture) {
  TraceBuilder trace;
  trace.add_exits(0, 3).cut().flip_byte(trace.offset_of(ChunkType::kSession) + 120);
  auto reader = TraceReader::open(trace.write_to(scratch_.file("h.kvmtape")));
  ASSERT_TRUE(reader);
  EXPECT_TRUE((*reader)->health().head_lost);
  EXPECT_EQ((*reader)->session().architecture, Architecture::kX86_64);
  EXPECT_EQ((*reader)->session().uuid, trace.session());
  EXPECT_EQ((*reader)->exits(), 3u);
}

TEST_F(TraceDamageTest, a_damaged_footer_is_redundant) {
  TraceBuilder whole = small_trace();
  for (size_t behind = 1; behind < 200; ++behind) {
    TraceBuilder trace = whole;
    const SeenTrace seen = read(trace.flip_byte(trace.bytes().size() - behind));
    EXPECT_TRUE(seen.health.footer_damaged) << behind;
    EXPECT_EQ(seen.exit_count(), 15u);
    EXPECT_TRUE(seen.health.complete()) << behind;
  }
}

TEST_F(TraceDamageTest, a_newer_major_version_is_refused) {
  TraceBuilder trace = small_trace();
  FileHeader header = make_file_header(trace.session());
  header.major = kFormatMajor + 1;
  header.crc32c = 0;
  header.crc32c = crc32c({reinterpret_cast<const uint8_t*>(&header), sizeof header});
  std::memcpy(trace.bytes().data(), &header, sizeof header);
  EXPECT_EQ(read(trace).error->code, ErrorCode::kUnsupported);
}

TEST_F(TraceDamageTest, a_tail_of_zeros_is_torn) {
  TraceBuilder trace;
  trace.add_exits(0, 3).cut();
  const uint64_t end = trace.bytes().size();
  trace.bytes().resize(end + 5000);
  const SeenTrace seen = read(trace);
  EXPECT_EQ(seen.health.torn_at, end);
  EXPECT_EQ(seen.health.damaged_chunks, 0u);
  EXPECT_EQ(seen.exit_count(), 3u);
}

TEST_F(TraceDamageTest, verify_finds_the_damage_that_opening_does_not_touch) {
  TraceBuilder trace = small_trace();
  trace.flip_byte(trace.offset_of(ChunkType::kExits, 1) + 150);
  trace.flip_byte(trace.offset_of(ChunkType::kCut) + 100);
  auto reader = TraceReader::open(trace.write_to(scratch_.file("v.kvmtape")));
  ASSERT_TRUE(reader);
  EXPECT_TRUE((*reader)->health().complete());
  (*reader)->verify();
  (*reader)->verify();
  EXPECT_EQ((*reader)->health().damaged_chunks, 1u);
  EXPECT_EQ((*reader)->health().damaged_bytes,
            trace.offset_of(ChunkType::kCut) - trace.offset_of(ChunkType::kExits, 1));
  EXPECT_EQ((*reader)->health().redundant_chunks, 1u) << "the cut";
  EXPECT_EQ((*reader)->exits(), 12u);
  EXPECT_EQ((*reader)->lost(), 3u);
}

TEST_F(TraceDamageTest, a_file_of_false_chunk_beginnings_is_given_up_in_time) {
  TraceBuilder trace;
  ChunkHeader header{};
  header.magic = kChunkMagic;
  header.header_bytes = sizeof header;
  header.body_bytes = 2 << 20;
  const auto* bytes = reinterpret_cast<const uint8_t*>(&header);
  for (int i = 0; i < 40'000; ++i)
    trace.bytes().insert(trace.bytes().end(), bytes, bytes + sizeof header);
  const SeenTrace seen = read(trace);
  EXPECT_EQ(seen.exit_count(), 0u);
  EXPECT_FALSE(seen.health.complete());
}

}  // namespace
}  // namespace kvmtape::testing
