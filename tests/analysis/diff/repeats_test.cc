// Whether a flight recorder folded exits into repeats is no difference of the guest.
#include <gtest/gtest.h>

#include <functional>

#include "analysis/diff/diff.h"
#include "analysis/diff/exit_walk.h"
#include "analysis/session_context.h"
#include "tests/support/scratch.h"
#include "tests/support/synthetic_trace.h"

namespace kvmtape::testing {
namespace {

class DiffRepeats : public ::testing::Test {
 protected:
  using Make = std::function<void(SyntheticTrace&)>;
  std::unique_ptr<TraceReader> recorded(const Make& make, bool folds) {
    SyntheticTrace trace;
    trace.intel();
    if (folds) trace.builder().fold_repeats();
    make(trace);
    auto opened = TraceReader::open(trace.write_to(scratch_.file(std::to_string(++files_))));
    EXPECT_TRUE(opened.ok());
    return std::move(*opened);
  }
  static Diff compared(TraceReader& a, TraceReader& b) {
    auto diff = compare(a, b, {});
    EXPECT_TRUE(diff.ok());
    return std::move(*diff);
  }

  ScratchDirectory scratch_;
  int files_ = 0;
};

void polls(SyntheticTrace& trace, uint8_t last) {
  trace.out(0x80, {1});
  for (int i = 0; i < 500; ++i) trace.in(0x3fd, {0x60});
  trace.console("balloon").in(0x3fd, {last}).regs(long_mode(7)).in(0x3fd, {last}).hlt(true);
}

TEST_F(DiffRepeats, AGuestRecordedFoldedAndNotIsTheSame) {
  const auto make = [](auto& t) { polls(t, 0x61); };
  const auto whole = recorded(make, false), folded = recorded(make, true);
  EXPECT_EQ(whole->folded(), 0u);
  EXPECT_GT(folded->folded(), 500u);
  for (const auto& [a, b] : {std::pair(&whole, &folded), std::pair(&folded, &whole)}) {
    const Diff diff = compared(**a, **b);
    EXPECT_EQ(diff.totals.differences(), 0u);
    EXPECT_EQ(diff.totals.compared_a, whole->exits());
    EXPECT_EQ(diff.totals.same, whole->exits());
  }
}

TEST_F(DiffRepeats, AnExitMoreIsFoundAndItsSurroundingsAreShown) {
  const auto once = [](auto& t) { t.out(0x80, {1}).console("aaaa").hlt(true); };
  const auto more = [](auto& t) { t.out(0x80, {1}).console("aaaaa").hlt(true); };
  const auto whole = recorded(once, false), folded = recorded(more, true);
  const Diff diff = compared(*whole, *folded);
  EXPECT_EQ(diff.totals.extra, 1u);
  EXPECT_EQ(diff.totals.differences(), 1u);
  ASSERT_TRUE(diff.first);
  const auto& context = diff.first->context_b;
  ASSERT_FALSE(context.empty());
  EXPECT_EQ(context.back().seq - context.front().seq + 1, context.size());
}

TEST_F(DiffRepeats, TimesLieBetweenTheFirstAndTheLast) {
  const auto folded = recorded([](auto& t) { t.console("aaaa"); }, true);
  const ExitDecoder decoder(decode_context_of(folded->session()));
  const Normaliser normaliser(decoder.context(), decoder.context(), {});
  const Selection all;
  ExitWalk walk(*folded, decoder, normaliser, all, 0);
  std::vector<int64_t> times;
  while (walk.next()) times.push_back(walk.time_ns());
  ASSERT_EQ(times.size(), 4u);
  for (size_t i = 1; i < times.size(); ++i) EXPECT_EQ(times[i] - times[i - 1], 7'000);
  EXPECT_EQ(walk.seq(), 4u);
}

TEST_F(DiffRepeats, MoreThanMemoryCouldHoldCountAsTheExitThatTheyRepeat) {
  const auto claims = [](auto& t) {
    t.console("ab");
    t.builder().add_record(0, RecordKind::kRepeat, 0, {1, uint64_t{1} << 40, 0, 0, 0, 0});
    t.console("cc");
  };
  const auto a = recorded(claims, true), b = recorded(claims, true);
  const Diff diff = compared(*a, *b);
  EXPECT_EQ(diff.totals.same, 4u);
  EXPECT_EQ(diff.totals.differences(), 0u);
}

// Nobody knows what they were: they are lost, not different.
TEST_F(DiffRepeats, WhoseExitIsDamagedAreLost) {
  const auto make = [](bool cuts) {
    return [cuts](auto& t) {
      t.out(0x80, {1});
      if (cuts) t.builder().cut();
      t.console("a");
      if (cuts) t.builder().cut();
      for (int i = 0; i < 9; ++i) t.console("a");
    };
  };
  const auto whole = recorded(make(false), false);
  SyntheticTrace trace;
  trace.intel().out(0x80, {1}).builder().cut();
  trace.console("a").builder().cut();
  trace.builder().add_record(0, RecordKind::kRepeat, 0, {1, 9, 0, 0, 0, 0});
  const std::string path = trace.write_to(scratch_.file("damaged"));
  auto bytes = file_bytes(path);
  bytes[trace.builder().offset_of(ChunkType::kExits, 1) + sizeof(ChunkHeader) + 8] ^= 0xff;
  write_file(path, bytes);
  const auto damaged = TraceReader::open(path);
  ASSERT_TRUE(damaged.ok());
  const Diff diff = compared(*whole, **damaged);
  EXPECT_EQ(diff.totals.differences(), 0u);
  EXPECT_EQ(diff.totals.lost_in_b, 10u);
}

}  // namespace
}  // namespace kvmtape::testing
