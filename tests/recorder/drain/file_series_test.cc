// A recording's files that somebody takes away while it goes on.
#include "recorder/drain/file_series.h"

#include <gtest/gtest.h>

#include <filesystem>

#include "schema/base/uuid_text.h"
#include "tests/support/scratch.h"

namespace kvmtape::testing {
namespace {

namespace fs = std::filesystem;

class FileSeriesTest : public ::testing::Test {
 protected:
  // As the drain does when a file is full.
  void rotate(int times) {
    for (int i = 0; i < times; ++i) {
      auto next = series_.make_next(session_);
      ASSERT_TRUE(next) << next.error().to_string();
      ASSERT_TRUE(series_.take_place(*last_, *next, 0));
      series_.end_last(*last_);
      *last_ = std::move(*next);
    }
  }
  void remove(int first, int last) {
    for (int number = first; number <= last; ++number)
      ASSERT_TRUE(fs::remove(scratch_ / ("vm." + std::to_string(number) + ".kvmtape")));
  }

  const ScratchDirectory scratch_;
  const Uuid session_ = random_uuid();
  FileSeries series_{scratch_ / "vm.kvmtape", FileBounds{kFileBytesMin, 0, 0}};
  Result<TraceFile> last_ = TraceFile::create(scratch_ / "vm.kvmtape", false, session_);
};

TEST_F(FileSeriesTest, WithoutABoundOfTheirNumberThoseThatWereRemovedAreFoundAtTheEnd) {
  rotate(10);
  EXPECT_EQ(series_.files_aside(), 10u);
  remove(1, 2);
  remove(10, 10);
  series_.find_removed();
  EXPECT_EQ(series_.files_aside(), 7u);
  EXPECT_EQ(series_.removed().bytes, 3 * last_->bytes()) << "all were as long";
  series_.find_removed();
  EXPECT_EQ(series_.files_aside(), 7u) << "once";
}

// So that who takes files away as they come keeps what is known of them from growing.
TEST_F(FileSeriesTest, ThoseThatWereRemovedAreForgottenAsItGoesOn) {
  rotate(50);
  remove(1, 50);
  rotate(50);
  EXPECT_LE(series_.files_aside(), 50u);
  EXPECT_EQ(series_.removed().bytes, 50 * last_->bytes());
}

}  // namespace
}  // namespace kvmtape::testing
