// When a difference of times is called one.
#include "analysis/diff/distributions.h"

#include <gtest/gtest.h>

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

TEST(DistributionsTest, ASlowerRecordingHasAnEffectAboveZero) {
  const TimeComparison slower = compare_times(times(1, 300, 5000), times(2, 300, 5200));
  EXPECT_TRUE(slower.differs);
  EXPECT_GT(slower.effect, 0.4);
  EXPECT_LT(slower.chance, 1e-6);
  EXPECT_LT(compare_times(times(1, 20000, 5200), times(2, 300, 5000)).effect, -0.4);
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
