// Alignment against a known truth: sequences in which exits were dropped, inserted, changed and
// reordered at places that the test knows.
#include "analysis/diff/alignment.h"

#include <gmock/gmock.h>

#include <algorithm>
#include <cstdint>
#include <random>
#include <vector>

namespace kvmtape {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

constexpr uint32_t kNone = ~uint32_t{0};

ExitIdentity exit_of(uint64_t value) {
  return make_identity(2, value % 7, value * 0x9e3779b1, value >> 3);
}

// B, and for each of its exits which one of A it is (kNone: none). Of two that changed places only
// one can be aligned, and either will do.
struct Edited {
  std::vector<ExitIdentity> a, b;
  std::vector<uint32_t> truth;
  size_t alignable = 0;

  void keep(uint32_t from) {
    b.push_back(a[from]);
    truth.push_back(from);
    ++alignable;
  }
  void swap_with_next(uint32_t from) {
    keep(from + 1);
    keep(from);
    --alignable;
  }
  void insert(uint64_t value) {
    b.push_back(exit_of(value));
    truth.push_back(kNone);
  }
};

enum class Edits : uint8_t { kDropped, kInserted, kChanged, kReordered };

// Exits of `kinds` kinds, one of `every` edited.
Edited edited(size_t count, uint64_t kinds, uint32_t every, Edits edits) {
  std::mt19937_64 random(every + count);
  Edited result;
  for (size_t i = 0; i < count; ++i) result.a.push_back(exit_of(random() % kinds));
  for (uint32_t i = 0; i < count; ++i) {
    if (random() % every != 0 || i + 1 == count) {
      result.keep(i);
    } else if (edits == Edits::kReordered) {
      result.swap_with_next(i++);
    } else if (edits != Edits::kDropped) {
      if (edits == Edits::kInserted) result.keep(i);
      result.insert(kinds + random() % kinds);
    }
  }
  return result;
}

// Of the exits of B that can be found in A, the share for which the alignment says which.
double recovered(const Edited& edited) {
  const Alignment alignment = align(edited.a, edited.b);
  EXPECT_EQ(alignment.unaligned, 0u);
  std::vector<uint32_t> found(edited.b.size(), kNone);
  uint64_t a_end = 0, b_end = 0;
  for (const AlignedRun& run : alignment.runs) {
    EXPECT_GE(run.a, a_end);
    EXPECT_GE(run.b, b_end);
    for (uint32_t i = 0; i < run.count; ++i) {
      EXPECT_EQ(edited.a[run.a + i], edited.b[run.b + i]);
      found[run.b + i] = run.a + i;
    }
    a_end = run.a + run.count;
    b_end = run.b + run.count;
  }
  size_t right = 0;
  for (size_t i = 0; i < found.size(); ++i)
    right += found[i] != kNone && found[i] == edited.truth[i];
  return static_cast<double>(right) / static_cast<double>(edited.alignable);
}

TEST(AlignmentTest, EqualSequencesAreOneRun) {
  const Edited same = edited(5000, 50, 1u << 30, Edits::kDropped);
  EXPECT_THAT(align(same.a, same.b).runs, ElementsAre(AlignedRun{0, 0, 5000}));
}

TEST(AlignmentTest, NothingInCommonIsNoRun) {
  EXPECT_THAT(align(std::vector{exit_of(1), exit_of(2)}, std::vector{exit_of(3)}).runs, IsEmpty());
  EXPECT_THAT(align({}, std::vector{exit_of(3)}).runs, IsEmpty());
  EXPECT_THAT(align({}, {}).runs, IsEmpty());
}

TEST(AlignmentTest, EditsAtKnownPlacesAreRecovered) {
  for (const Edits edits : {Edits::kDropped, Edits::kInserted, Edits::kChanged, Edits::kReordered})
    for (const uint32_t every : {1000u, 20u})
      for (const uint64_t kinds : {uint64_t{1} << 40, uint64_t{2000}})
        EXPECT_GE(recovered(edited(40000, kinds, every, edits)), 0.99)
            << static_cast<int>(edits) << " 1 of " << every << ", kinds " << kinds;
}

TEST(AlignmentTest, HalfOfAllExitsChangedAreRecovered) {
  EXPECT_GE(recovered(edited(40000, uint64_t{1} << 40, 2, Edits::kChanged)), 0.99);
}

TEST(AlignmentTest, EveryShortSequenceHasItsLongestCommonSubsequence) {
  std::mt19937 random(7);
  for (int round = 0; round < 3000; ++round) {
    std::vector<ExitIdentity> a(random() % 12), b(random() % 12);
    for (auto* side : {&a, &b})
      for (ExitIdentity& exit : *side) exit = exit_of(random() % 3);
    std::vector<std::vector<uint64_t>> longest(a.size() + 1, std::vector<uint64_t>(b.size() + 1));
    for (size_t x = a.size(); x-- > 0;)
      for (size_t y = b.size(); y-- > 0;)
        longest[x][y] = a[x] == b[y] ? longest[x + 1][y + 1] + 1
                                     : std::max(longest[x + 1][y], longest[x][y + 1]);
    // Beyond a limit of 0, small sides are aligned another way.
    for (const uint32_t distance_max : {AlignmentLimits{}.distance_max, uint32_t{0}}) {
      uint64_t found = 0;
      for (const AlignedRun& run : align(a, b, {distance_max}).runs) found += run.count;
      ASSERT_EQ(found, longest[0][0]) << "round " << round << ", limit " << distance_max;
    }
  }
}

TEST(AlignmentTest, BeyondTheLimitOnlyAnchorsHold) {
  Edited two;
  for (uint64_t i = 0; i < 600; ++i) {
    two.a.push_back(exit_of(i % 5));
    two.b.push_back(exit_of(10 + i % 5));
  }
  two.a.push_back(exit_of(99));
  two.b.push_back(exit_of(99));
  for (uint64_t i = 0; i < 600; ++i) {
    two.a.push_back(exit_of(i % 5));
    two.b.push_back(exit_of(10 + i % 5));
  }
  const Alignment alignment = align(two.a, two.b, {.distance_max = 100});
  EXPECT_THAT(alignment.runs, ElementsAre(AlignedRun{600, 600, 1}));
  EXPECT_EQ(alignment.unaligned, 2400u);
}

TEST(AlignmentTest, ATinySideIsFoundInALongOneBeyondTheLimit) {
  std::mt19937 random(11);
  std::vector<ExitIdentity> longer(20000);
  for (ExitIdentity& exit : longer) exit = exit_of(random() % 3);
  longer[9000] = exit_of(90);
  longer[15000] = exit_of(150);
  // Neither ends like the long one, so that nothing but the distance tells.
  const std::vector shorter{exit_of(7), exit_of(90), exit_of(8), exit_of(150), exit_of(9)};
  for (const bool a_longer : {true, false}) {
    const Alignment found = a_longer ? align(longer, shorter) : align(shorter, longer);
    EXPECT_EQ(found.unaligned, 0u);
    if (a_longer)
      EXPECT_THAT(found.runs, ElementsAre(AlignedRun{9000, 1, 1}, AlignedRun{15000, 3, 1}));
    else
      EXPECT_THAT(found.runs, ElementsAre(AlignedRun{1, 9000, 1}, AlignedRun{3, 15000, 1}));
  }
}

TEST(AlignmentTest, OfManyThatAreAlikeATinySideIsTheFirst) {
  std::vector<ExitIdentity> longer(5000, exit_of(1));
  longer.front() = longer.back() = exit_of(2);
  const std::vector shorter{exit_of(3), exit_of(1), exit_of(1), exit_of(4)};
  EXPECT_THAT(align(longer, shorter).runs, ElementsAre(AlignedRun{1, 1, 2}));
}

TEST(AlignmentTest, WhatALongSideHasMoreIsExtraAndNotUnaligned) {
  std::vector<ExitIdentity> longer, shorter;
  for (uint64_t i = 0; i < 12000; ++i) longer.push_back(exit_of(i % 5));
  for (uint64_t i = 0; i < 100; ++i) shorter.push_back(exit_of(10 + i % 5));
  EXPECT_EQ(align(longer, shorter).unaligned, 200u);
  EXPECT_EQ(align(longer, {}).unaligned, 0u);
}

TEST(AlignmentTest, ChangedExitsArePairedByPlaceThenByReason) {
  const auto exit = [](uint64_t reason, uint64_t place, uint64_t value) {
    return make_identity(reason, place, value, 0);
  };
  const std::vector a{exit(6, 1, 10), exit(6, 2, 20), exit(2, 1, 30)};
  EXPECT_THAT(pair_changed(a, std::vector{exit(6, 2, 21), exit(2, 1, 31)}),
              ElementsAre(AlignedRun{1, 0, 2}));
  EXPECT_THAT(pair_changed(a, std::vector{exit(6, 9, 0), exit(6, 2, 1), exit(3, 1, 0)}),
              ElementsAre(AlignedRun{0, 0, 1}, AlignedRun{1, 1, 1}));
}

}  // namespace
}  // namespace kvmtape
