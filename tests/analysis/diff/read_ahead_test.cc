// Queues that are filled ahead: each in order, by one thread at a time, whoever fills them.
#include "analysis/diff/read_ahead.h"

#include <gtest/gtest.h>

#include <array>
#include <atomic>

namespace kvmtape::testing {
namespace {

constexpr uint64_t kPlaces = 3;

// What the batches of a queue hold: their own numbers.
struct Numbers {
  Numbers(ReadAhead& ahead, uint64_t last)
      : queue(ahead, kPlaces, [this, last](uint64_t number) {
          EXPECT_EQ(filling.fetch_add(1), 0) << "two threads fill one queue";
          EXPECT_EQ(number, filled++);
          places[number % kPlaces] = number;
          filling.fetch_sub(1);
          return number != last;
        }) {}
  uint64_t at(uint64_t number) {
    queue.wait_for(number);
    return places[number % kPlaces];
  }
  std::array<uint64_t, kPlaces> places{};
  std::atomic<int> filling{0};
  uint64_t filled = 0;
  ReadAhead::Queue queue;
};

class ReadAheadTest : public ::testing::TestWithParam<unsigned> {
 protected:
  ReadAhead ahead_{GetParam()};
};

TEST_P(ReadAheadTest, TwoQueuesAreReadInStepAndOneGoesOnAlone) {
  Numbers longer(ahead_, 999);
  {
    Numbers shorter(ahead_, 399);
    for (uint64_t number = 0; number < 400; ++number) {
      ASSERT_EQ(longer.at(number), number);
      ASSERT_EQ(shorter.at(number), number);
    }
    EXPECT_EQ(shorter.filled, 400u);
  }
  for (uint64_t number = 400; number < 1000; ++number) ASSERT_EQ(longer.at(number), number);
  EXPECT_EQ(longer.filled, 1000u);
}

TEST_P(ReadAheadTest, AQueueMayBeLeftBeforeItsEnd) {
  Numbers left(ahead_, 1000), other(ahead_, 1000);
  EXPECT_EQ(left.at(0), 0u);
  EXPECT_EQ(left.at(1), 1u);
}

TEST_P(ReadAheadTest, NoPlaceIsFilledBeforeItHasBeenPassed) {
  Numbers numbers(ahead_, 1000);
  for (uint64_t number = 0; number < 50; ++number) {
    ASSERT_EQ(numbers.at(number), number);
    EXPECT_EQ(numbers.places[number % kPlaces], number) << "while it is looked at";
  }
}

INSTANTIATE_TEST_SUITE_P(Threads, ReadAheadTest, ::testing::Values(0, 1, 2));

}  // namespace
}  // namespace kvmtape::testing
