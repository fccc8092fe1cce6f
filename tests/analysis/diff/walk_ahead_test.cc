// Who looks at a walk that is read ahead sees what the walk itself shows.
#include "analysis/diff/walk_ahead.h"

#include <gtest/gtest.h>

#include "analysis/session_context.h"
#include "tests/support/scratch.h"
#include "tests/support/synthetic_trace.h"

namespace kvmtape::testing {
namespace {

// By so many threads beside the one that looks.
class WalkAheadTest : public ::testing::TestWithParam<unsigned> {
 protected:
  // Longer than several batches, with calls, marks and registers between the exits.
  static constexpr uint32_t kExits = 30'000;
  static std::string recording(const std::string& path) {
    SyntheticTrace trace;
    trace.intel();
    for (uint32_t i = 0; i < kExits; ++i) {
      if (i % 5'000 == 7) trace.memory(uint64_t{i} << 20, 1 << 20);
      if (i % 9'000 == 8) trace.builder().add_mark("guest " + std::to_string(i));
      if (i % 3 == 0)
        trace.mmio_write(uint64_t{i / 7} << 20, {static_cast<uint8_t>(i), 1, 2, 3});
      else
        trace.in(0x3fd, {static_cast<uint8_t>(i)});
      if (i % 1'000 == 9) trace.regs(long_mode(i));
      if (i % 7'000 == 6'999) trace.builder().cut();
    }
    return trace.write_to(path);
  }

  // Steps through both walks; of every `every`th exit everything is looked at.
  void expect_the_same(const Selection& selection, uint64_t skipped, uint32_t every) {
    const auto plain = TraceReader::open(path_), ahead = TraceReader::open(path_);
    ASSERT_TRUE(plain.ok() && ahead.ok());
    const ExitDecoder decoder(decode_context_of((*plain)->session()));
    const Normaliser normaliser(decoder.context(), decoder.context(), {});
    ExitWalk expected(**plain, decoder, normaliser, selection, 0);
    for (uint64_t i = 0; i < skipped; ++i) ASSERT_TRUE(expected.next());
    const auto is_wanted = [&](uint32_t number) { return number % every == 0; };
    ReadAhead threads(GetParam());
    WalkAhead walk(threads, **ahead, decoder, normaliser, selection, 0, skipped,
                   [&](uint32_t from) { return (from + every - 1) / every * every; });
    uint32_t number = 0;
    for (; expected.next(); ++number) {
      ASSERT_TRUE(walk.next()) << number;
      ASSERT_EQ(walk.seq(), expected.seq());
      ASSERT_EQ(walk.time_ns(), expected.time_ns());
      if (!is_wanted(number)) continue;
      ASSERT_EQ(walk.has_answer(), expected.recorded().has_answer);
      ASSERT_EQ(walk.failed(), expected.recorded().ret < 0);
      ASSERT_EQ(walk.exit().reason, expected.decoded().exit.reason);
      ASSERT_EQ(text_of(decoder, walk.decoded()), text_of(decoder, expected.decoded()));
      ASSERT_EQ(walk.slots().count(), expected.slots().count()) << number;
      ASSERT_EQ(walk.guest(), expected.guest()) << number;
      ASSERT_EQ(walk.taken().size(), expected.taken().size()) << number;
    }
    EXPECT_GT(number, 0u);
    EXPECT_FALSE(walk.next());
    EXPECT_EQ(walk.seq(), expected.seq());
    EXPECT_FALSE(walk.next());  // and stays there
  }

  ScratchDirectory scratch_;
  const std::string path_ = recording(scratch_.file("walked"));
};

TEST_P(WalkAheadTest, EveryExitWanted) { expect_the_same({}, 0, 1); }
TEST_P(WalkAheadTest, FewExitsWanted) { expect_the_same({}, 0, 777); }
TEST_P(WalkAheadTest, TheFirstOnesSkipped) { expect_the_same({}, kExits - 5, 1); }
TEST_P(WalkAheadTest, SomeOfTheExitsSelected) {
  Selection selection;
  selection.reasons = {6};  // KVM_EXIT_MMIO
  selection.seq = {100, 20'000};
  expect_the_same(selection, 3, 2);
}

TEST_P(WalkAheadTest, RepeatsComeOneByOne) {
  SyntheticTrace trace;
  trace.intel().builder().fold_repeats();
  for (uint32_t i = 0; i < kExits; ++i) {
    trace.in(0x3fd, {static_cast<uint8_t>(i / 9'000)});
    if (i % 7'000 == 1'000) trace.regs(long_mode(i));
    if (i % 4'000 == 3'999) trace.builder().cut();
  }
  // Of an exit in the chunk before.
  trace.builder().add_record(0, RecordKind::kRepeat, 0, {kExits - 1, 20, 0, 0, 0, 0});
  trace.write_to(path_);
  expect_the_same({}, 0, 1);
  expect_the_same({}, kExits + 19, 1);
  Selection selection;
  selection.seq = {100, 8'000};
  expect_the_same(selection, 3, 2);
}

TEST_P(WalkAheadTest, PartsOfTheRecordingDamaged) {
  auto bytes = file_bytes(path_);
  for (const size_t part : {3u, 5u, 6u}) bytes[bytes.size() / 8 * part] ^= 0xff;
  write_file(path_, bytes);
  expect_the_same({}, 0, 3);
  const auto reader = TraceReader::open(path_);
  ASSERT_TRUE(reader.ok());
  (*reader)->verify();
  EXPECT_GT((*reader)->health().lost, 0u);
}
TEST_P(WalkAheadTest, TheRecordingTorn) {
  auto bytes = file_bytes(path_);
  bytes.resize(bytes.size() / 3 * 2);
  write_file(path_, bytes);
  expect_the_same({}, 100, 5);
}

TEST_P(WalkAheadTest, MayBeLeftBeforeItsEnd) {
  const auto reader = TraceReader::open(path_);
  ASSERT_TRUE(reader.ok());
  const ExitDecoder decoder(decode_context_of((*reader)->session()));
  const Normaliser normaliser(decoder.context(), decoder.context(), {});
  const Selection all;
  ReadAhead threads(GetParam());
  WalkAhead walk(threads, **reader, decoder, normaliser, all, 0, 0,
                 [](uint32_t from) { return from; });
  EXPECT_TRUE(walk.next());
}

INSTANTIATE_TEST_SUITE_P(Threads, WalkAheadTest, ::testing::Values(0, 1, 2));

}  // namespace
}  // namespace kvmtape::testing
