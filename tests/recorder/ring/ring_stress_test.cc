// Producer and consumer on threads of their own; ThreadSanitizer watches in its own build.
#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <random>
#include <thread>

#include "recorder/ring/ring_writer.h"
#include "schema/ring_reader.h"
#include "tests/support/memory_ring.h"
#include "tests/support/sanitizers.h"

namespace kvmtape::testing {
namespace {

constexpr uint64_t kRecords = kThreadSanitizer ? 60'000 : 1'000'000;

template <typename Index>
NumberedTally race(bool overwrite, bool consumer_pauses) {
  MemoryRing<Index> ring(4, overwrite);
  BasicRingWriter<Index> writer;
  writer.bind(ring.header());
  BasicRingReader<Index> reader(ring.header());
  std::thread producer([&] {
    std::mt19937_64 random(4);
    for (uint64_t number = 0; number < kRecords; ++number) {
      put_numbered(writer, number, 3 + below(random, 60));
      // Else one of the two CPUs' slices is all that the consumer ever sees.
      if (number % 512 == 0) std::this_thread::yield();
    }
    writer.finish();
  });
  NumberedTally tally;
  std::mt19937_64 random(5);
  // A consumer that sleeps has been lapped at least once, however slow the producer is.
  while (overwrite && consumer_pauses && ring.header()->open_block < 8) std::this_thread::yield();
  for (;;) {
    const bool finished = reader.finished();
    const RingBatch batch = reader.poll();
    if (batch.block_start) tally.skip_to(batch.first_seq);
    tally.take(batch.words);
    if (!batch.words.empty()) reader.release(batch.end);
    if (!tally.good || (finished && batch.words.empty())) break;
    if (batch.words.empty() || (consumer_pauses && random() % 4 == 0))
      std::this_thread::sleep_for(std::chrono::microseconds(random() % 200));
  }
  producer.join();
  EXPECT_TRUE(tally.good);
  // The last drops have no gap record behind them.
  const uint64_t untold = ring.header()->lost_total - tally.in_gaps;
  EXPECT_EQ(tally.seen + tally.in_gaps + tally.overwritten + untold, kRecords);
  EXPECT_EQ(ring.header()->next_seq, kRecords);
  return tally;
}

TEST(RingStress, DroppingLosesNothingUncounted) {
  EXPECT_EQ(race<uint64_t>(false, true).overwritten, 0u);
}

TEST(RingStress, DroppingLosesNothingUncountedWhileBlockNumbersWrap) {
  EXPECT_EQ(race<uint8_t>(false, true).overwritten, 0u);
}

TEST(RingStress, OverwritingNeverHandsOutTornRecords) {
  EXPECT_EQ(race<uint64_t>(true, false).in_gaps, 0u);
}

TEST(RingStress, OverwritingASleepyConsumerNeverHandsOutTornRecords) {
  const NumberedTally tally = race<uint64_t>(true, true);
  EXPECT_EQ(tally.in_gaps, 0u);
  EXPECT_GT(tally.overwritten, 0u);
}

}  // namespace
}  // namespace kvmtape::testing
