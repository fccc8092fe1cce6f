// What `ctl status` says is done a second, by a clock that the test turns.
#include "recorder/control/rate_window.h"

#include <gtest/gtest.h>

namespace kvmtape::testing {
namespace {

constexpr uint64_t kStartNs = 5'000'000'000'000;
constexpr uint64_t kMillisecondNs = 1'000'000;

DrainTotals counted(uint64_t exits, uint64_t bytes) {
  DrainTotals totals;
  totals.exits = exits;
  totals.bytes = bytes;
  return totals;
}

// A recording of 1,000 exits and 50,000 bytes a millisecond.
class RateWindowTest : public ::testing::Test {
 protected:
  void go_on(uint64_t ms) {
    for (uint64_t i = 0; i < ms; ++i) {
      now_ns_ += kMillisecondNs;
      totals_.exits += 1000;
      totals_.bytes += 50'000;
      if (window_.is_due(now_ns_)) window_.advance(now_ns_, totals_);
    }
  }
  Rates rates() const { return window_.rates(now_ns_, totals_); }

  uint64_t now_ns_ = kStartNs;
  DrainTotals totals_ = counted(700, 9000);
  RateWindow window_{kStartNs, totals_};
};

TEST_F(RateWindowTest, IsOfTheStartAtFirst) {
  EXPECT_EQ(rates().exits_per_second, 0);
  go_on(400);
  EXPECT_DOUBLE_EQ(rates().seconds, 0.4);
  EXPECT_DOUBLE_EQ(rates().exits_per_second, 1e6);
  EXPECT_DOUBLE_EQ(rates().bytes_per_second, 5e7);
}

TEST_F(RateWindowTest, IsOfTheLastSecondOrTwoFromThenOn) {
  go_on(1000);
  for (int i = 0; i < 70; ++i) {
    go_on(100);
    EXPECT_GE(rates().seconds, 1);
    EXPECT_LT(rates().seconds, 2);
    EXPECT_DOUBLE_EQ(rates().exits_per_second, 1e6);
  }
}

TEST_F(RateWindowTest, ABurstIsForgottenWithinTwoSeconds) {
  go_on(500);
  for (int i = 0; i < 2; ++i) {
    now_ns_ += 1000 * kMillisecondNs;
    ASSERT_TRUE(window_.is_due(now_ns_));
    window_.advance(now_ns_, totals_);
  }
  EXPECT_EQ(rates().exits_per_second, 0);
  EXPECT_EQ(rates().bytes_per_second, 0);
}

TEST_F(RateWindowTest, WhoStopsTheRecordingBeginsAnew) {
  go_on(2500);
  window_.begin_anew(now_ns_, totals_);
  now_ns_ += 300 * kMillisecondNs;
  EXPECT_EQ(rates().exits_per_second, 0);
  EXPECT_DOUBLE_EQ(rates().seconds, 0.3);
}

TEST_F(RateWindowTest, WhatGrewSmallerWithARemovedFileIsNoRate) {
  now_ns_ += kMillisecondNs;
  totals_ = counted(800, 100);
  EXPECT_DOUBLE_EQ(rates().exits_per_second, 1e5);
  EXPECT_EQ(rates().bytes_per_second, 0);
}

}  // namespace
}  // namespace kvmtape::testing
