// What a report's history says of exits that it folds into a line: that they are alike only where
// they are, and else what the last of them was, which stands nearest to the crash.
#include "analysis/explain/history.h"

#include <gmock/gmock.h>

#include "analysis/explain/explain_json.h"
#include "tests/support/explained.h"

namespace kvmtape::testing {
namespace {

using ::testing::EndsWith;
using ::testing::HasSubstr;

std::string line_of(const Explained& explained, size_t number) {
  const Case& all = *explained.explanation().all;
  return body_text(all, history_of(all, 8).at(number));
}
std::string first_line(SyntheticTrace& trace) { return line_of(Explained(trace), 0); }

TEST(History, OfEqualExitsSaysThatTheyAreAlike) {
  SyntheticTrace trace;
  trace.intel().out(0x80, {1}).out(0x80, {1}).out(0x80, {1});
  EXPECT_EQ(first_line(trace), "OUT port 0x80 1 byte 0x1; 2 more like it until 0:2");
}

TEST(History, OfOtherDataShowsTheLast) {
  SyntheticTrace trace;
  trace.intel().out(0x80, {1}).out(0x80, {2}).out(0x80, {0x20});
  EXPECT_EQ(first_line(trace),
            "OUT port 0x80 1 byte 0x1; 2 more, not all alike, the last 0x20 at 0:2");
}

TEST(History, OfOneMoreShowsIt) {
  SyntheticTrace trace;
  trace.intel().mmio_write(0xfebf0000, {1}).mmio_write(0xfebf0000, {2});
  EXPECT_EQ(first_line(trace), "write 1 byte 0x1 to 0xfebf0000; then 0x2 at 0:1");
}

TEST(History, OfReadsShowsTheLastAnswer) {
  SyntheticTrace trace;
  trace.intel().in(0x71, {0}).in(0x71, {0}).in(0x71, {0x80});
  EXPECT_THAT(first_line(trace), EndsWith("= 0x0; 2 more, not all alike, the last 0x80 at 0:2"));
}

TEST(History, OfALastOneLikeTheFirstSaysSo) {
  SyntheticTrace trace;
  trace.intel().out(0x80, {1}).out(0x80, {2}).out(0x80, {1});
  EXPECT_THAT(first_line(trace), EndsWith("the last like the first, at 0:2"));
}

TEST(History, OfAnMsrThatWasAllowedAndThenRefusedSaysSo) {
  SyntheticTrace trace;
  trace.intel().rdmsr_refused(0x8b).rdmsr_refused(0x8b);
  EXPECT_THAT(first_line(trace), HasSubstr("refused with #GP"));
  EXPECT_THAT(first_line(trace), EndsWith("1 more like it until 0:1"));
}

TEST(History, OfAlternatingExitsShowsTheLastOfEach) {
  SyntheticTrace trace;
  trace.intel();
  for (uint8_t value = 1; value <= 3; ++value) trace.out(0x70, {value}).in(0x71, {7});
  const Explained explained(trace);
  EXPECT_THAT(line_of(explained, 0), HasSubstr("the last 0x3 at 0:4, alternating"));
  EXPECT_THAT(line_of(explained, 1), HasSubstr("2 more like it until 0:5"));
}

TEST(History, AsJsonHasTheLastOnesTextAsWell) {
  SyntheticTrace trace;
  trace.intel().out(0x80, {1}).out(0x80, {2}).out(0x80, {0x20}).in(0x71, {0}).in(0x71, {0});
  const Explained explained(trace);
  const auto history = explanation_json(explained.explanation(), {}, 8, nullptr)["history"];
  EXPECT_EQ(history[0]["alike"], false);
  EXPECT_EQ(history[0]["last_text"], "OUT port 0x80 1 byte 0x20");
  EXPECT_EQ(history[1]["alike"], true);
  EXPECT_FALSE(history[1].contains("last_text"));
}

}  // namespace
}  // namespace kvmtape::testing
