// What else is made of two recordings while they are compared is made once of each, while nobody
// else walks it, and whatever comes of the comparison.
#include <gmock/gmock.h>

#include <array>
#include <stdexcept>

#include "analysis/diff/diff.h"
#include "analysis/diff/distributions.h"
#include "tests/support/scratch.h"
#include "tests/support/synthetic_trace.h"

namespace kvmtape::testing {
namespace {

using ::testing::ElementsAre;

class DiffBeside : public ::testing::Test {
 protected:
  // Of two vCPUs, so many rounds, the last with another value.
  static SyntheticTrace recording(int rounds, uint8_t last) {
    SyntheticTrace trace;
    trace.intel();
    for (int i = 0; i < rounds; ++i) {
      const uint8_t value = i + 1 == rounds ? last : 1;
      trace.on(0).out(0x3f8, {value}).hlt(true).on(1).out(0x2f8, {value});
    }
    return trace;
  }
  // Walks each recording on whatever thread it is called.
  void counted_beside(SyntheticTrace a, SyntheticTrace b, DiffOptions options = {}) {
    auto in_a = TraceReader::open(a.write_to(scratch_.file("a")));
    auto in_b = TraceReader::open(b.write_to(scratch_.file("b")));
    ASSERT_TRUE(in_a.ok() && in_b.ok());
    options.beside = [&](bool in_second) {
      ++calls_[in_second];
      counts_[in_second] = count_by_exit(in_second ? **in_b : **in_a, {});
    };
    const auto found = compare(**in_a, **in_b, options);
    ASSERT_TRUE(found.ok());
    differences_ = found->totals.differences();
  }
  uint64_t counted(bool in_second) const {
    uint64_t all = 0;
    for (const StatRow& row : counts_[in_second].rows) all += row.count;
    return all;
  }

  ScratchDirectory scratch_;
  std::array<int, 2> calls_{};
  std::array<ExitCounts, 2> counts_;
  uint64_t differences_ = 0;
};

TEST_F(DiffBeside, OnceForEachOfSeveralVcpus) {
  counted_beside(recording(2'000, 1), recording(3'000, 2));
  EXPECT_THAT(calls_, ElementsAre(1, 1));
  EXPECT_EQ(counted(false), 6'000u);
  EXPECT_EQ(counted(true), 9'000u);
  EXPECT_GT(differences_, 0u);
}

TEST_F(DiffBeside, WhereNothingDiffers) {
  counted_beside(recording(1'000, 1), recording(1'000, 1));
  EXPECT_THAT(calls_, ElementsAre(1, 1));
  EXPECT_EQ(counted(true), 3'000u);
  EXPECT_EQ(differences_, 0u);
}

TEST_F(DiffBeside, WhereNoVcpuIsCompared) {
  DiffOptions options;
  options.selection.vcpus = {7};
  counted_beside(recording(10, 1), recording(20, 2), options);
  EXPECT_THAT(calls_, ElementsAre(1, 1));
  EXPECT_EQ(counted(true), 60u);
}

// A's is read again, without the memory slots that B's does not know.
TEST_F(DiffBeside, WhereOneIsReadAgain) {
  SyntheticTrace a = recording(1'000, 1);
  a.memory(0, 1 << 20).mmio_write(0x1000, {1});
  counted_beside(std::move(a), recording(1'000, 2));
  EXPECT_THAT(calls_, ElementsAre(1, 1));
  EXPECT_EQ(counted(false), 3'001u);
}

TEST_F(DiffBeside, ThrowsToWhoCompares) {
  auto in_a = TraceReader::open(recording(10, 1).write_to(scratch_.file("a")));
  auto in_b = TraceReader::open(recording(10, 2).write_to(scratch_.file("b")));
  ASSERT_TRUE(in_a.ok() && in_b.ok());
  DiffOptions options;
  options.beside = [](bool in_second) {
    if (in_second) throw std::runtime_error("no memory, say");
  };
  EXPECT_THROW((void)compare(**in_a, **in_b, options), std::runtime_error);
}

}  // namespace
}  // namespace kvmtape::testing
