// Exits that a flight recorder folded into repeats count as exits, whoever counts them.
#include <gmock/gmock.h>

#include <functional>

#include "analysis/explain/history.h"
#include "tests/support/explained.h"

namespace kvmtape::testing {
namespace {

using ::testing::HasSubstr;

SyntheticTrace folded(const std::function<void(SyntheticTrace&)>& make) {
  SyntheticTrace trace;
  trace.intel().builder().fold_repeats();
  make(trace);
  return trace;
}

TEST(ExplainRepeats, AreCharactersOfTheConsole) {
  SyntheticTrace trace = folded(
      [](auto& t) { t.console("Attempting at 0xffffffff81000000\n\nKernel panic - not syncing"); });
  const Explained explained(trace);
  EXPECT_EQ(explained.explanation().all->console.tail(),
            "Attempting at 0xffffffff81000000\n\nKernel panic - not syncing");
  EXPECT_EQ(explained.of("guest-panic").evidence.front(), (Place{0, 34}));
}

TEST(ExplainRepeats, OfAConsoleTakeBoundedMemoryHoweverMany) {
  SyntheticTrace trace = folded([](auto& t) { t.console("Guru Meditation "); });
  trace.out(0x3f8, {'x'});
  trace.builder().add_record(0, RecordKind::kRepeat, 0, {16, uint64_t{1} << 40, 0, 0, 0, 0});
  const Explained explained(trace);
  EXPECT_EQ(explained.explanation().all->exits, 17 + (uint64_t{1} << 40));
  EXPECT_LE(explained.explanation().all->console.tail().size(), 8192u);
}

TEST(ExplainRepeats, OfAReadThatNoDeviceAnsweredAreReads) {
  SyntheticTrace trace = folded([](auto& t) {
    for (int i = 0; i < 1'200; ++i) t.mmio_read(0xfebf0000, {0xff, 0xff, 0xff, 0xff});
  });
  const Explained explained(trace);
  EXPECT_EQ(explained.first(), "unhandled-access");
  EXPECT_THAT(explained.of("unhandled-access").title, HasSubstr("1200 reads"));
}

TEST(ExplainRepeats, OfAnotherExitAreNotOfTheStorm) {
  SyntheticTrace trace = folded([](auto& t) {
    for (int i = 0; i < 1'000; ++i) t.out(0xe000, {static_cast<uint8_t>(i)});
    for (int i = 0; i < 19'500; ++i) t.wait_ns(1'000'000).out(0x80, {1});
  });
  EXPECT_FALSE(Explained(trace).found("exit-storm"));
}

TEST(ExplainRepeats, AreNoSilence) {
  SyntheticTrace trace = folded([](auto& t) {
    for (int i = 0; i < 50; ++i) t.wait_ns(1'000'000'000).out(0x80, {1});
  });
  EXPECT_FALSE(Explained(trace).found("silent-guest"));
}

TEST(ExplainRepeats, StandInTheHistoryBehindWhatTheyRepeat) {
  SyntheticTrace trace = folded([](auto& t) {
    t.out(0x70, {1}).in(0x71, {0}).out(0x70, {2});
    for (int i = 0; i < 3; ++i) t.out(0x70, {2});
  });
  const Explained explained(trace);
  const Case& all = *explained.explanation().all;
  EXPECT_THAT(body_text(all, history_of(all, 8).front()),
              HasSubstr("4 more, not all alike, the last 0x2 at 0:5"));
}

TEST(ExplainRepeats, ThatTookLongWereNotAnsweredForLong) {
  SyntheticTrace trace = folded(
      [](auto& t) { t.out(0x80, {1}).answer_takes_ns(5'000'000'000).out(0x80, {1}).hlt(true); });
  EXPECT_THAT(Explained(trace).of("monitor-away").title, HasSubstr("5.0 s"));
}

}  // namespace
}  // namespace kvmtape::testing
