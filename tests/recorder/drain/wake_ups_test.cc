#include "recorder/drain/wake_ups.h"

#include <gtest/gtest.h>

namespace kvmtape::testing {
namespace {

TEST(WakeUpsTest, GoOnSoonInAHurryAndEachTimeLaterAfterIt) {
  WakeUps wake_ups(1000);
  EXPECT_EQ(wake_ups.next_us(true, 3000), 100u);
  EXPECT_EQ(wake_ups.next_us(true, 3000), 100u);
  for (const uint32_t expected : {200u, 400u, 800u, 1600u, 3000u, 3000u})
    EXPECT_EQ(wake_ups.next_us(false, 3000), expected);
  EXPECT_EQ(wake_ups.next_us(true, 3000), 100u);
}

TEST(WakeUpsTest, AreNeverFurtherApartThanIsAsked) {
  WakeUps wake_ups(1000);
  EXPECT_EQ(wake_ups.next_us(false, 10'000), 2000u);
  EXPECT_EQ(wake_ups.next_us(false, 10'000), 4000u);
  EXPECT_EQ(wake_ups.next_us(false, 10'000), 8000u);
  EXPECT_EQ(wake_ups.next_us(false, 10'000), 10'000u);
  EXPECT_EQ(wake_ups.next_us(false, 3000), 3000u);  // exits have come again
  EXPECT_EQ(wake_ups.next_us(true, 50), 50u);       // more often than a hurry would
  EXPECT_EQ(wake_ups.next_us(false, ~uint32_t{0}), 100u);
}

TEST(WakeUpsTest, DoNotWrapAround) {
  WakeUps wake_ups(1u << 31);
  EXPECT_EQ(wake_ups.next_us(false, ~uint32_t{0}), ~uint32_t{0});
}

}  // namespace
}  // namespace kvmtape::testing
