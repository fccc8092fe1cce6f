// When a difference of times is called one.
#include "analysis/diff/distributions.h"

#include <gtest/gtest.h>

#include <cmath>
#include <random>

namespace kvmtape {
namespace {

Histogram times(uint32_t seed, size_t count, double mean, double spread = 200) {
  std::mt19937 random(seed);
  std::normal_distribution<double> normal(mean, spread);
  Histogram histogram;
  for (size_t i = 0; i < count; ++i)
    histogram.add(static_cast<uint64_t>(std::max(0.0, normal(random))));
  return histogram;
}

TEST(DistributionsTest, NoiseIsNoDifference) {
  for (uint32_t seed = 1; seed < 40; ++seed) {
    EXPECT_FALSE(compare_times(times(seed, 300, 5000), times(seed + 100, 300, 5000)).differs)
        << seed;
    EXPECT_FALSE(compare_times(times(seed, 20000, 5000), times(seed + 100, 20000, 5003)).differs);
  }
}

// As a machine does: for a while everything takes a little longer, then again less.
Histogram drifting(uint32_t seed, size_t count, double mean, double drift) {
  std::mt19937 random(seed);
  std::normal_distribution<double> normal(0, mean / 50);
  Histogram histogram;
  double phase = static_cast<double>(random() % 628) / 100;
  for (size_t i = 0; i < count; ++i) {
    phase += 2.5 / static_cast<double>(count);  // less than half of a swing in a recording
    histogram.add(static_cast<uint64_t>(mean * (1 + drift * std::sin(phase)) + normal(random)));
  }
  return histogram;
}

TEST(DistributionsTest, AMachineThatDriftsIsNoDifference) {
  size_t sure = 0;
  for (uint32_t seed = 1; seed < 40; ++seed) {
    const TimeComparison times =
        compare_times(drifting(seed, 500, 8000, 0.09), drifting(seed + 100, 500, 8000, 0.09));
    EXPECT_FALSE(times.differs) << seed;
    sure += times.chance < 0.001 && std::abs(times.effect) > 0.147 ? 1 : 0;
  }
  EXPECT_GT(sure, 20u) << "by chance and effect alone these would be differences";
}

TEST(DistributionsTest, ShortTimesDoubleWithoutADifference) {
  EXPECT_FALSE(compare_times(times(1, 500, 70, 5), times(2, 500, 80, 5)).differs);
  EXPECT_FALSE(compare_times(times(1, 500, 110, 10), times(2, 500, 250, 10)).differs);
  EXPECT_TRUE(compare_times(times(1, 500, 110, 10), times(2, 500, 1100, 10)).differs);
}

TEST(DistributionsTest, WhatIsAskedForDecides) {
  const Histogram a = times(1, 300, 5000), b = times(2, 300, 5500);
  EXPECT_FALSE(compare_times(a, b).differs);
  EXPECT_FALSE(compare_times(b, a).differs);
  EXPECT_TRUE(compare_times(a, b, {.percent = 5, .ns = 200}).differs);
  EXPECT_FALSE(compare_times(a, b, {.percent = 5, .ns = 1000}).differs);
  EXPECT_TRUE(compare_times(a, b, {.percent = 0, .ns = 0}).differs);
}

TEST(DistributionsTest, ASlowerRecordingHasAnEffectAboveZero) {
  const TimeComparison slower = compare_times(times(1, 300, 5000), times(2, 300, 8000));
  EXPECT_TRUE(slower.differs);
  EXPECT_GT(slower.effect, 0.4);
  EXPECT_LT(slower.chance, 1e-6);
  EXPECT_LT(compare_times(times(1, 20000, 8000), times(2, 300, 5000)).effect, -0.4);
}

TEST(DistributionsTest, EverythingSlowerIsTheLargestEffect) {
  EXPECT_DOUBLE_EQ(compare_times(times(1, 50, 5000), times(2, 50, 9000)).effect, 1.0);
}

TEST(DistributionsTest, TooFewValuesProveNothing) {
  EXPECT_FALSE(compare_times(times(1, 5, 5000), times(2, 300, 9000)).differs);
  EXPECT_FALSE(compare_times(Histogram(), times(2, 300, 9000)).known);
}

}  // namespace
}  // namespace kvmtape
