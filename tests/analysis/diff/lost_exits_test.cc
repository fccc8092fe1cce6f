// What a recording lost is no difference where the other recording has it.
#include "analysis/diff/lost_exits.h"

#include <gtest/gtest.h>

#include <tuple>

#include "analysis/diff/diff.h"
#include "tests/support/scratch.h"
#include "tests/support/synthetic_trace.h"

namespace kvmtape::testing {
namespace {

class LostExitsTest : public ::testing::Test {
 protected:
  // A console's exits, one a letter; a digit is a gap of so many.
  static SyntheticTrace recording(std::string_view letters) {
    SyntheticTrace trace;
    trace.intel();
    for (const char& letter : letters) {
      if (letter >= '0' && letter <= '9')
        trace.lost(static_cast<uint64_t>(letter - '0'));
      else
        trace.console({&letter, 1});
    }
    return trace;
  }
  std::string sealed(std::string_view letters) { return recording(letters).write_to(next_file()); }
  std::string unsealed(std::string_view letters) {
    return recording(letters).write_unsealed_to(next_file());
  }
  static Diff compared(const std::string& a, const std::string& b) {
    auto in_a = TraceReader::open(a), in_b = TraceReader::open(b);
    EXPECT_TRUE(in_a.ok() && in_b.ok());
    auto diff = compare(**in_a, **in_b, {});
    EXPECT_TRUE(diff.ok());
    return std::move(*diff);
  }

  std::string next_file() { return scratch_.file(std::to_string(++files_)); }

 private:
  ScratchDirectory scratch_;
  int files_ = 0;
};

TEST_F(LostExitsTest, WhatAGapTookIsLostAndNoDifference) {
  const Diff in_b = compared(sealed("abcdef"), sealed("ab2ef"));
  EXPECT_EQ(in_b.totals.same, 4u);
  EXPECT_EQ(in_b.totals.differences(), 0u);
  EXPECT_EQ(in_b.totals.lost_in_b, 2u);
  EXPECT_FALSE(in_b.first.has_value());
  ASSERT_EQ(in_b.losses.size(), 1u);
  EXPECT_TRUE(in_b.losses[0].in_b);
  EXPECT_EQ(in_b.losses[0].exits.why, "ring full");
  EXPECT_EQ(in_b.losses[0].exits.other_first, 2u);
  EXPECT_EQ(in_b.losses[0].exits.other_last, 3u);
  const Diff in_a = compared(sealed("ab2ef"), sealed("abcdef"));
  EXPECT_EQ(in_a.totals.lost_in_a, 2u);
  EXPECT_EQ(in_a.totals.differences(), 0u);
}

TEST_F(LostExitsTest, AddressesAreNumbersWhereOneLostTheCallsThatSetMemorySlots) {
  const auto with = [&](bool slots) {
    SyntheticTrace trace;
    trace.intel();
    if (slots) trace.memory(0x40000000, 0x10000);
    for (uint64_t i = 0; i < 9; ++i) trace.mmio_write(0x40000000 + i % 4 * 8, {1, 0, 0, 0});
    return trace.write_to(next_file());
  };
  for (const bool in_a : {true, false}) {
    const Diff diff = compared(with(in_a), with(!in_a));
    EXPECT_EQ(diff.totals.same, 9u);
    EXPECT_EQ(diff.totals.compared_a, 9u);
    EXPECT_EQ(diff.totals.differences(), 0u);
  }
}

// Where the monitor put that memory is no difference.
TEST_F(LostExitsTest, AddressesAreThoseOfSlotsWhereBothKnowThem) {
  const auto at = [&](uint64_t base) {
    SyntheticTrace trace;
    trace.intel().memory(base, 0x10000).mmio_write(base + 8, {1, 0, 0, 0});
    return trace.write_to(next_file());
  };
  EXPECT_EQ(compared(at(0x40000000), at(0x80000000)).totals.differences(), 0u);
}

TEST_F(LostExitsTest, MoreThanAGapTookIsADifference) {
  const Diff diff = compared(sealed("abcdef"), sealed("ab1ef"));
  EXPECT_EQ(diff.totals.missing, 2u);
  EXPECT_EQ(diff.totals.lost_in_b, 0u);
}

TEST_F(LostExitsTest, WhatIsMissingWhereNoGapIsIsADifference) {
  const Diff diff = compared(sealed("abcdefgh"), sealed("ab2efh"));
  EXPECT_EQ(diff.totals.lost_in_b, 2u);
  EXPECT_EQ(diff.totals.missing, 1u);
  ASSERT_TRUE(diff.first.has_value());
  EXPECT_EQ(diff.first->change.a.seq, 6u);
}

TEST_F(LostExitsTest, AChangeBesideAGapIsStillOne) {
  const Diff diff = compared(sealed("abcdefgh"), sealed("ab2efgZ"));
  EXPECT_EQ(diff.totals.lost_in_b, 2u);
  EXPECT_EQ(diff.totals.changed, 1u);
  EXPECT_EQ(diff.totals.missing, 0u);
}

TEST_F(LostExitsTest, OfExitsThatAreAlikeThoseWhereTheGapIsAreLost) {
  for (const auto& [whole, gap, first] :
       {std::tuple{"xxxxxxy", "x3xxy", 1u}, std::tuple{"xxxxxxy", "3xxxy", 0u},
        std::tuple{"axbxbxbxc", "axb4xc", 3u}}) {
    const Diff diff = compared(sealed(whole), sealed(gap));
    EXPECT_EQ(diff.totals.differences(), 0u) << gap;
    ASSERT_EQ(diff.losses.size(), 1u) << gap;
    EXPECT_EQ(diff.losses[0].exits.other_first, first) << gap;
    EXPECT_EQ(compared(sealed(gap), sealed(whole)).totals.differences(), 0u) << gap;
  }
}

TEST_F(LostExitsTest, BehindAnEndThatIsNotTheEndExitsAreLost) {
  const Diff cut = compared(sealed("abcdef"), unsealed("abc"));
  EXPECT_EQ(cut.totals.differences(), 0u);
  EXPECT_EQ(cut.totals.lost_in_b, 3u);
  ASSERT_EQ(cut.losses.size(), 1u);
  EXPECT_TRUE(cut.losses[0].exits.is_open_end());
  EXPECT_EQ(cut.losses[0].exits.why, "unsealed end");
  EXPECT_EQ(compared(unsealed("abcdef"), sealed("abc")).totals.missing, 3u);
  EXPECT_EQ(compared(sealed("abxcdef"), unsealed("abc")).totals.missing, 1u) << "in front of it";
}

// A byte that was read from a port, by the last exit that was recorded in time or before it.
SyntheticTrace& read_port(SyntheticTrace& trace, bool answered) {
  TraceBuilder::GivenExit exit;
  exit.tsc = 1'000'000'000;
  exit.run.resize(kCoreWords * kWordBytes);
  exit.run[8] = 2;                                 // KVM_EXIT_IO
  exit.run[33] = exit.run[36] = 1;                 // size, count
  exit.run[34] = 0x60;                             // port
  store_le(exit.run.data() + 40, uint64_t{4096});  // data_offset
  exit.data = {0};
  exit.answered = answered;
  exit.answer_tsc = exit.tsc + 1000;
  exit.answer_run = exit.run;
  exit.answer_data = {5};
  trace.builder().add_exit(0, exit);
  return trace;
}

TEST_F(LostExitsTest, AnAnswerThatWasLostWithWhatFollowedIsNoDifference) {
  SyntheticTrace whole = recording("ab"), cut = recording("ab"), unanswered = recording("ab");
  const std::string a =
      read_port(whole, true).wait_ns(2'000'000'000).out(0x3f8, {'c'}).write_to(next_file());
  const Diff diff = compared(a, read_port(cut, false).write_unsealed_to(next_file()));
  EXPECT_EQ(diff.totals.differences(), 0u);
  EXPECT_EQ(diff.totals.same, 3u);
  EXPECT_EQ(diff.totals.lost_in_b, 1u);
  const Diff at_its_end = compared(a, read_port(unanswered, false).write_to(next_file()));
  EXPECT_EQ(at_its_end.totals.changed, 1u) << "nothing followed";
  EXPECT_EQ(at_its_end.totals.missing, 1u);
}

// Of runs that an alignment found further on or back than where exits were lost.
TEST(SettleAtLossesTest, ARunMovesBothWaysIfExitsAreTheSame) {
  const std::vector<ExitIdentity> a{1, 1, 1, 2}, b{1, 1, 2};
  const auto settled = [&](std::vector<AlignedRun> runs, uint32_t lost_at) {
    Alignment alignment{std::move(runs), 0};
    settle_at_losses(alignment, a, b, {}, {{lost_at, 0, 1, "damaged", 0, 0, 0}});
    return alignment.runs;
  };
  const std::vector<AlignedRun> front{{1, 0, 3}}, middle{{0, 0, 1}, {2, 1, 2}},
      late{{0, 0, 2}, {3, 2, 1}};
  EXPECT_EQ(settled(late, 0), front);
  EXPECT_EQ(settled(late, 1), middle);
  EXPECT_EQ(settled(front, 1), middle);
  EXPECT_EQ(settled(front, 2), late);
  EXPECT_EQ(settled(late, 3), late) << "not over an exit that is another";
}

}  // namespace
}  // namespace kvmtape::testing
