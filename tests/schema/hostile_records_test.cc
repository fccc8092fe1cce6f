// Records that no producer of ours leaves in a ring, but that a damaged or a hostile one may hold:
// whatever the encoder takes, a decoder hands back; what cannot be stored is not taken.
#include <gmock/gmock.h>

#include <cstddef>
#include <cstring>
#include <vector>

#include "schema/chunk_codec.h"

namespace kvmtape::testing {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

void append_record(RecordKind kind, uint8_t flags, uint64_t tsc,
                   const std::vector<uint64_t>& payload, std::vector<uint64_t>& words) {
  words.push_back((kRecordHeaderWords + payload.size()) |
                  uint64_t{static_cast<uint8_t>(kind)} << 16 | uint64_t{flags} << 24);
  words.push_back(tsc);
  words.insert(words.end(), payload.begin(), payload.end());
}

// An exit or answer that changes nothing of the core, and one word of the sync area.
void append_sync(RecordKind kind, uint64_t tsc, uint64_t value, uint32_t sync_word,
                 std::vector<uint64_t>& words) {
  std::vector<uint64_t> payload(1 + kSyncMasks);
  payload[1 + sync_word / 64] = uint64_t{1} << sync_word % 64;
  payload.push_back(value);
  append_record(kind, kRecordHasSync, tsc, payload, words);
}

ChunkEncoder new_encoder() {
  return ChunkEncoder({0, 0, Architecture::kX86_64, ByteOrder::kLittle});
}

std::vector<uint8_t> chunk_of(ChunkEncoder& encoder) {
  std::vector<uint8_t> chunk;
  EXPECT_TRUE(encoder.finish({}, chunk));
  return chunk;
}

TEST(HostileRecords, sync_words_of_an_answer_without_an_exit_are_not_forgotten) {
  std::vector<uint64_t> words;
  append_sync(RecordKind::kExit, 10, 0x11, 2, words);
  append_sync(RecordKind::kAnswer, 20, 0x22, 2, words);
  append_sync(RecordKind::kAnswer, 30, 0x33, 3, words);  // its exit was dropped
  append_sync(RecordKind::kExit, 40, 0x44, 4, words);
  ChunkEncoder encoder = new_encoder();
  ASSERT_EQ(encoder.add(words, true), words.size());
  const auto chunk = chunk_of(encoder);
  ChunkDecoder decoder;
  ASSERT_TRUE(decoder.open(chunk));
  ASSERT_TRUE(decoder.begin());
  ASSERT_EQ(decoder.next(), ChunkDecoder::Item::kExit);
  ASSERT_EQ(decoder.next(), ChunkDecoder::Item::kSide);
  ASSERT_EQ(decoder.next(), ChunkDecoder::Item::kExit);
  ByteCursor run(decoder.exit().kvm_run);
  run.skip((kCoreWords + 2) * kWordBytes);
  std::vector<uint64_t> sync;
  for (int i = 0; i < 3; ++i) sync.push_back(run.read<uint64_t>());
  EXPECT_THAT(sync, ElementsAre(0x22, 0x33, 0x44));
}

TEST(HostileRecords, an_exit_that_refers_to_the_data_of_an_exit_is_refused) {
  std::vector<uint64_t> words;
  append_record(RecordKind::kExit, 0, 10, {0}, words);
  const size_t good = words.size();
  append_record(RecordKind::kExit, kRecordDataSame, 20, {uint64_t{8} << kDataBytesShift}, words);
  ChunkEncoder encoder = new_encoder();
  EXPECT_EQ(encoder.add(words, true), good);
  EXPECT_TRUE(encoder.malformed());
  const auto chunk = chunk_of(encoder);
  ChunkDecoder decoder;
  ASSERT_TRUE(decoder.open(chunk));
  ASSERT_TRUE(decoder.begin());
  EXPECT_EQ(decoder.next(), ChunkDecoder::Item::kExit);
  EXPECT_EQ(decoder.next(), ChunkDecoder::Item::kEnd);
}

TEST(HostileRecords, an_answer_behind_a_run_of_equal_exits_is_not_that_of_the_exit_before_it) {
  std::vector<uint64_t> words;
  append_record(RecordKind::kExit, 0, 10, {0}, words);
  append_record(RecordKind::kRepeat, 0, 20, {0, 2, 12, 20, 0, 0}, words);
  append_record(RecordKind::kAnswer, 0, 30, {0}, words);
  append_record(RecordKind::kExit, 0, 40, {0}, words);
  ChunkEncoder encoder = new_encoder();
  ASSERT_EQ(encoder.add(words, true), words.size());
  const auto chunk = chunk_of(encoder);
  ChunkDecoder decoder;
  ASSERT_TRUE(decoder.open(chunk));
  ASSERT_TRUE(decoder.begin());
  ASSERT_EQ(decoder.next(), ChunkDecoder::Item::kExit);
  EXPECT_FALSE(decoder.exit().has_answer);
  EXPECT_EQ(decoder.exit().tsc, 10u);
  EXPECT_EQ(decoder.next(), ChunkDecoder::Item::kSide);
  EXPECT_EQ(decoder.next(), ChunkDecoder::Item::kSide);
  ASSERT_EQ(decoder.next(), ChunkDecoder::Item::kExit);
  EXPECT_EQ(decoder.exit().seq, 3u);
  EXPECT_EQ(decoder.exit().tsc, 40u);
}

TEST(HostileRecords, sequences_end_before_they_wrap) {
  std::vector<uint64_t> words;
  append_record(RecordKind::kBlockStart, 0, 10, {~uint64_t{0}, 0}, words);
  const size_t good = words.size();
  append_record(RecordKind::kExit, 0, 20, {0}, words);
  ChunkEncoder encoder = new_encoder();
  EXPECT_EQ(encoder.add(words, true), good);
  EXPECT_TRUE(encoder.malformed());
  encoder.add_gap(7, GapReason::kRingFull,
                  30);  // what a ring's header says is no more to be trusted
  EXPECT_EQ(encoder.next_seq(), ~uint64_t{0});
  const auto chunk = chunk_of(encoder);
  ChunkDecoder decoder;
  ASSERT_TRUE(decoder.open(chunk));
  ASSERT_TRUE(decoder.begin());
  ASSERT_EQ(decoder.next(), ChunkDecoder::Item::kSide);
  EXPECT_EQ(decoder.next(), ChunkDecoder::Item::kEnd);
}

// What a chunk of one exit, one record of another kind and one exit decodes to when its header says
// that so many fewer sequences are in it.
std::vector<ChunkDecoder::Item> items_when_short(uint64_t sequences, RecordKind kind,
                                                 const std::vector<uint64_t>& payload) {
  std::vector<uint64_t> words;
  append_record(RecordKind::kExit, 0, 10, {0}, words);
  append_record(kind, 0, 20, payload, words);
  append_record(RecordKind::kExit, 0, 40, {0}, words);
  ChunkEncoder encoder = new_encoder();
  EXPECT_EQ(encoder.add(words, true), words.size());
  auto chunk = chunk_of(encoder);
  uint64_t end_seq = 0;
  uint8_t* const field = chunk.data() + offsetof(ChunkHeader, end_seq);
  std::memcpy(&end_seq, field, sizeof end_seq);
  end_seq -= sequences;
  std::memcpy(field, &end_seq, sizeof end_seq);
  ChunkDecoder decoder;
  std::vector<ChunkDecoder::Item> items;
  if (!decoder.open(chunk) || !decoder.begin()) return items;
  do items.push_back(decoder.next());
  while (items.back() == ChunkDecoder::Item::kExit || items.back() == ChunkDecoder::Item::kSide);
  return items;
}

TEST(HostileRecords, a_repeat_of_more_exits_than_the_header_has_is_not_shown) {
  using enum ChunkDecoder::Item;
  const std::vector<uint64_t> repeat = {0, 36, 12, 20, 0, 0};
  EXPECT_THAT(items_when_short(0, RecordKind::kRepeat, repeat),
              ElementsAre(kExit, kSide, kExit, kEnd));
  EXPECT_THAT(items_when_short(1, RecordKind::kRepeat, repeat), ElementsAre(kExit, kCorrupt));
  EXPECT_THAT(items_when_short(36, RecordKind::kRepeat, repeat), ElementsAre(kExit, kCorrupt));
}

TEST(HostileRecords, more_exits_and_gaps_than_the_header_has_sequences_are_not_shown) {
  using enum ChunkDecoder::Item;
  const std::vector<uint64_t> gap = {1, 3, 3, 0};
  EXPECT_THAT(items_when_short(0, RecordKind::kGap, gap), ElementsAre(kExit, kSide, kExit, kEnd));
  EXPECT_THAT(items_when_short(1, RecordKind::kGap, gap), IsEmpty());
  EXPECT_THAT(items_when_short(4, RecordKind::kGap, gap), IsEmpty());
}

}  // namespace
}  // namespace kvmtape::testing
