// The ring's protocol with one thread playing both ends, and block numbers of eight bits that wrap.
#include <gtest/gtest.h>

#include <random>

#include "recorder/ring/ring_writer.h"
#include "schema/ring_reader.h"
#include "tests/support/memory_ring.h"

namespace kvmtape::testing {
namespace {

using SmallRing = MemoryRing<uint8_t>;
using SmallWriter = BasicRingWriter<uint8_t>;
using SmallReader = BasicRingReader<uint8_t>;

constexpr uint32_t kRecordWords = 100;
constexpr uint32_t kRecordsPerBlock = (kBlockBytesMin - sizeof(BlockHeader)) / (8 * kRecordWords);

TEST(RingProtocol, RecordsComeBackInOrderWhileBlockNumbersWrap) {
  SmallRing ring(4, false);
  SmallWriter writer;
  writer.bind(ring.header());
  SmallReader reader(ring.header());
  std::mt19937_64 random(1);
  NumberedTally tally;
  uint64_t produced = 0;
  RingPosition expected_begin;
  while (produced < 60'000) {  // about 1,500 blocks of 16 KiB
    for (uint64_t burst = random() % 60; burst > 0; --burst)
      ASSERT_TRUE(put_numbered(writer, produced++, 3 + below(random, 100)));
    for (;;) {
      const RingBatch batch = reader.poll();
      if (batch.words.empty()) break;
      ASSERT_EQ(batch.skipped_blocks, 0u);
      if (batch.block_start) {
        ASSERT_EQ(batch.first_seq, tally.next);
        ASSERT_EQ(batch.begin.bytes, 0u);
      } else {
        ASSERT_EQ(batch.begin, expected_begin);
      }
      expected_begin = batch.end;
      tally.take(batch.words);
      reader.release(batch.end);
    }
    ASSERT_TRUE(tally.good);
    ASSERT_EQ(tally.next, produced);
  }
  EXPECT_EQ(tally.seen, produced);
  EXPECT_EQ(writer.lost_total(), 0u);
}

TEST(RingProtocol, DroppingCountsEachExitAndPutsTheGapWhereItHappened) {
  SmallRing ring(4, false);
  SmallWriter writer;
  writer.bind(ring.header());
  SmallReader reader(ring.header());
  std::mt19937_64 random(2);
  NumberedTally tally;
  uint64_t produced = 0, kept = 0;
  while (produced < 200'000) {
    for (uint64_t burst = random() % 2000; burst > 0; --burst)
      kept += put_numbered(writer, produced++, 3 + below(random, 100)) ? 1 : 0;
    for (uint64_t polls = random() % 5; polls > 0; --polls) {
      const RingBatch batch = reader.poll();
      ASSERT_EQ(batch.skipped_blocks, 0u);
      tally.take(batch.words);
      if (!batch.words.empty()) reader.release(batch.end);
    }
    ASSERT_TRUE(tally.good);
  }
  for (RingBatch batch = reader.poll(); !batch.words.empty(); batch = reader.poll())
    tally.take(batch.words);
  ASSERT_TRUE(tally.good);
  EXPECT_EQ(tally.seen, kept);
  EXPECT_EQ(writer.next_seq(), produced);
  EXPECT_EQ(writer.lost_total(), produced - kept);
  EXPECT_GT(tally.in_gaps, 0u);
  EXPECT_EQ(reader.lost_total(), writer.lost_total());
  // What was dropped last has no gap record yet; the header knows.
  EXPECT_EQ(tally.seen + reader.lost_total(), produced);
}

TEST(RingProtocol, OverwritingKeepsTheNewestAndTellsHowManyAreGone) {
  SmallRing ring(4, true);
  SmallWriter writer;
  writer.bind(ring.header());
  SmallReader reader(ring.header());
  std::mt19937_64 random(3);
  NumberedTally tally;
  uint64_t produced = 0;
  while (produced < 200'000) {
    for (uint64_t burst = random() % 2000; burst > 0; --burst)
      ASSERT_TRUE(put_numbered(writer, produced++, 3 + below(random, 100)));
    for (uint64_t polls = random() % 5; polls > 0; --polls) {
      const RingBatch batch = reader.poll();
      if (batch.block_start) tally.skip_to(batch.first_seq);
      tally.take(batch.words);
    }
    ASSERT_TRUE(tally.good);
  }
  for (RingBatch batch = reader.poll(); !batch.words.empty(); batch = reader.poll()) {
    if (batch.block_start) tally.skip_to(batch.first_seq);
    tally.take(batch.words);
  }
  ASSERT_TRUE(tally.good);
  EXPECT_GT(tally.overwritten, 0u);
  EXPECT_EQ(tally.next, produced);
  EXPECT_EQ(tally.seen + tally.overwritten, produced);
}

TEST(RingProtocol, AReaderThatFellBehindGoesOnAtTheOldestBlockThatIsStillThere) {
  SmallRing ring(4, true);
  SmallWriter writer;
  writer.bind(ring.header());
  SmallReader reader(ring.header());
  for (uint64_t number = 0; number < 7 * kRecordsPerBlock; ++number)
    put_numbered(writer, number, kRecordWords);
  const RingBatch batch = reader.poll();
  EXPECT_EQ(batch.skipped_blocks, 3u);  // 0, 1 and 2 of 0 to 6
  EXPECT_TRUE(batch.block_start);
  EXPECT_EQ(batch.begin, (RingPosition{3, 0}));
  EXPECT_EQ(batch.first_seq, 3 * kRecordsPerBlock);
}

TEST(RingProtocol, ABlockGoesBackToTheProducerOnlyWhenItIsReleased) {
  SmallRing ring(4, false);
  SmallWriter writer;
  writer.bind(ring.header());
  SmallReader reader(ring.header());
  uint64_t number = 0;
  while (put_numbered(writer, number, kRecordWords)) ++number;
  EXPECT_EQ(number, 4 * kRecordsPerBlock);
  EXPECT_EQ(reader.blocks_in_use(), 4u);

  std::vector<RingPosition> ends;
  for (RingBatch batch = reader.poll(); !batch.words.empty(); batch = reader.poll())
    ends.push_back(batch.end);
  ASSERT_EQ(ends.size(), 4u);
  EXPECT_FALSE(put_numbered(writer, ++number, kRecordWords)) << "read, but not released";
  reader.release({0, ends[0].bytes});
  EXPECT_FALSE(put_numbered(writer, ++number, kRecordWords)) << "still in block 0";
  reader.release({1, 0});
  EXPECT_TRUE(put_numbered(writer, ++number, kRecordWords));
  EXPECT_EQ(reader.blocks_in_use(), 4u);
}

TEST(RingProtocol, TheNextConsumerBeginsWhereTheLastOneReleased) {
  SmallRing ring(4, false);
  SmallWriter writer;
  writer.bind(ring.header());
  NumberedTally tally;
  {
    SmallReader first(ring.header());
    for (uint64_t number = 0; number < 10; ++number) put_numbered(writer, number, kRecordWords);
    const RingBatch batch = first.poll();
    tally.take(batch.words);
    first.release(batch.end);
    put_numbered(writer, 10, kRecordWords);
    EXPECT_FALSE(first.poll().words.empty());  // handed out, but never released
  }
  SmallReader second(ring.header());
  const RingBatch batch = second.poll();
  EXPECT_EQ(batch.begin, (RingPosition{0, 10 * 8 * kRecordWords}));
  tally.take(batch.words);
  EXPECT_TRUE(tally.good);
  EXPECT_EQ(tally.next, 11u);
}

TEST(RingProtocol, TheFirstRecordOfABlockIsToldToBeAKeyframeEvenBehindAGap) {
  SmallRing ring(4, false);
  SmallWriter writer;
  writer.bind(ring.header());
  SmallReader reader(ring.header());
  EXPECT_TRUE(writer.fresh_block());
  uint64_t number = 0;
  while (put_numbered(writer, number, kRecordWords)) ++number;
  EXPECT_FALSE(writer.fresh_block());
  reader.release({2, 0});
  ASSERT_NE(writer.reserve(kRecordWords), nullptr);  // a gap record and a new block
  EXPECT_TRUE(writer.fresh_block());
}

TEST(RingProtocol, AFinishedProducerIsToldFromOneThatDied) {
  SmallRing ring(4, false);
  SmallWriter writer;
  writer.bind(ring.header());
  SmallReader reader(ring.header());
  put_numbered(writer, 0, kRecordWords);
  EXPECT_FALSE(reader.finished());
  writer.finish();
  EXPECT_TRUE(reader.finished());
  EXPECT_EQ(ring.header()->next_seq, 1u);
}

TEST(RingProtocol, ACommitThatOverrunsItsBlockIsCutToIt) {
  SmallRing ring(4, false);
  SmallWriter writer;
  writer.bind(ring.header());
  put_numbered(writer, 0, kRecordWords);
  auto* block =
      reinterpret_cast<BlockHeader*>(reinterpret_cast<uint8_t*>(ring.header()) + kRingHeaderBytes);
  block->committed = uint64_t{1} << 40;
  SmallReader reader(ring.header());
  EXPECT_EQ(reader.poll().words.size(), (kBlockBytesMin - sizeof(BlockHeader)) / 8);
  EXPECT_TRUE(reader.poll().words.empty());
}

TEST(RingProtocol, AReadPositionOutsideItsBlockIsTakenForItsBeginning) {
  SmallRing ring(4, false);
  SmallWriter writer;
  writer.bind(ring.header());
  put_numbered(writer, 0, kRecordWords);
  ring.header()->read_bytes = uint64_t{1} << 40;
  SmallReader reader(ring.header());
  EXPECT_EQ(reader.position(), RingPosition{});
  EXPECT_EQ(reader.poll().words.size(), kRecordWords);
}

}  // namespace
}  // namespace kvmtape::testing
