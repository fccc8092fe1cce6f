// Opening rings that somebody else made, whole or not.
#include "schema/ring_file.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <functional>

#include "recorder/ring/ring_create.h"
#include "recorder/ring/ring_writer.h"
#include "schema/ring_reader.h"
#include "tests/support/memory_ring.h"
#include "tests/support/scratch.h"

namespace kvmtape::testing {
namespace {

using ::testing::HasSubstr;

class RingFileTest : public ::testing::Test {
 protected:
  // A ring with one record in it, its header then changed by `change`.
  std::string ring_with(const std::function<void(RingHeader&)>& change) {
    const std::string path = directory_ / "vcpu-0.ring";
    std::filesystem::remove(path);
    auto ring = create_ring(path, {.ring_bytes = 64 * 1024});
    EXPECT_TRUE(ring.ok());
    RingWriter writer;
    writer.bind(ring->header());
    put_numbered(writer, 0, 10);
    change(*ring->header());
    return path;
  }
  void expect_refused(const std::string& path, ErrorCode code, const std::string& text) {
    for (auto access : {RingFile::Access::kShared, RingFile::Access::kCopy}) {
      auto ring = RingFile::open(path, access);
      ASSERT_FALSE(ring.ok());
      EXPECT_EQ(ring.error().code, code);
      EXPECT_THAT(ring.error().to_string(), HasSubstr(path + ": "));
      EXPECT_THAT(ring.error().message, HasSubstr(text));
    }
  }
  ScratchDirectory directory_{true};
};

// It could not read /proc: under its number here there may be nobody, who has no start time either.
TEST_F(RingFileTest, AMakerWhoseStartIsNotKnownIsNotTakenForAlive) {
  for (const uint32_t pid : {uint32_t{1} << 22, static_cast<uint32_t>(::getpid())}) {
    const auto ring = RingFile::open(ring_with([pid](RingHeader& header) {
                                       header.writer_pid = pid;
                                       header.writer_start_time = 0;
                                     }),
                                     RingFile::Access::kCopy);
    ASSERT_TRUE(ring.ok());
    EXPECT_FALSE(is_maker_alive(*ring)) << pid;
  }
  const auto own = RingFile::open(ring_with([](RingHeader&) {}), RingFile::Access::kCopy);
  ASSERT_TRUE(own.ok());
  EXPECT_TRUE(is_maker_alive(*own));
}

TEST_F(RingFileTest, WhatOneMappingWritesTheOtherReads) {
  const std::string path = ring_with([](RingHeader&) {});
  for (auto access : {RingFile::Access::kCopy, RingFile::Access::kShared}) {
    auto ring = RingFile::open(path, access);
    ASSERT_TRUE(ring.ok()) << ring.error().to_string();
    RingReader reader(ring->header());
    EXPECT_EQ(reader.poll().words.size(), 10u);
  }
}

TEST_F(RingFileTest, ACopyLeavesTheRingAsItIs) {
  const std::string path = ring_with([](RingHeader& header) { header.overwrite = 1; });
  {
    auto copy = RingFile::open(path, RingFile::Access::kCopy);
    ASSERT_TRUE(copy.ok());
    RingReader reader(copy->header());
    reader.release(reader.poll().end);
  }
  auto ring = RingFile::open(path, RingFile::Access::kShared);
  ASSERT_TRUE(ring.ok());
  EXPECT_EQ(ring->header()->read_bytes, 0u);
}

TEST_F(RingFileTest, AnotherVersionIsNamedTogetherWithWhatToDo) {
  expect_refused(ring_with([](RingHeader& header) { header.version = kRingVersion + 1; }),
                 ErrorCode::kUnsupported, "ring of version 2; this kvmtape reads version 1");
}

TEST_F(RingFileTest, ATruncatedRingIsToldFromADamagedOne) {
  const std::string path = ring_with([](RingHeader&) {});
  std::filesystem::resize_file(path, kRingHeaderBytes + 1000);
  expect_refused(path, ErrorCode::kTruncated, "the file has 5096");
}

TEST_F(RingFileTest, HeadersThatDoNotHoldTogetherAreRefused) {
  const std::function<void(RingHeader&)> damages[] = {
      [](RingHeader& header) { header.header_bytes = 0; },
      [](RingHeader& header) { header.header_bytes = 1 << 30; },
      [](RingHeader& header) { header.block_bytes = 0; },
      [](RingHeader& header) { header.block_bytes = kBlockBytesMin + 4; },
      [](RingHeader& header) { header.block_bytes = kBlockBytesMax * 2; },
      [](RingHeader& header) { header.block_count = 0; },
      [](RingHeader& header) { header.core_words = 37; },
  };
  for (const auto& damage : damages)
    expect_refused(ring_with(damage), ErrorCode::kCorrupt, "does not hold together");
  expect_refused(ring_with([](RingHeader& header) { header.block_count = 0xffffffff; }),
                 ErrorCode::kTruncated, "the file has");
}

TEST_F(RingFileTest, WhatIsNoRingIsSaidToBeNone) {
  expect_refused(ring_with([](RingHeader& header) { header.magic = 0; }), ErrorCode::kNotATrace,
                 "not a kvmtape ring file");
  std::filesystem::create_directory(directory_ / "directory.ring");
  EXPECT_EQ(RingFile::open(directory_ / "directory.ring", RingFile::Access::kCopy).error().code,
            ErrorCode::kNotATrace);
  std::filesystem::resize_file(ring_with([](RingHeader&) {}), 0);
  expect_refused(directory_ / "vcpu-0.ring", ErrorCode::kNotATrace, "not a kvmtape ring file");
  std::filesystem::remove(directory_ / "vcpu-0.ring");
  expect_refused(directory_ / "vcpu-0.ring", ErrorCode::kIo, "No such file");
  ASSERT_EQ(::mkfifo((directory_ / "fifo.ring").c_str(), 0600), 0);
  expect_refused(directory_ / "fifo.ring", ErrorCode::kNotATrace, "not a kvmtape ring file");
  std::filesystem::create_symlink(directory_ / "fifo.ring", directory_ / "link.ring");
  expect_refused(directory_ / "link.ring", ErrorCode::kIo, "cannot open the ring");
}

TEST_F(RingFileTest, TheWritersLockTellsTheLivingFromTheDead) {
  const std::string path = directory_ / ring_file_name(kSessionStream);
  int ready[2];
  ASSERT_EQ(::pipe(ready), 0);
  const pid_t writer = ::fork();
  if (writer == 0) {
    auto ring = create_ring(path, {.vcpu_index = kSessionStream});
    if (!ring.ok() || !lock_as_writer(*ring) || ::write(ready[1], "x", 1) != 1) ::_exit(1);
    for (;;) ::pause();
  }
  char byte;
  ASSERT_EQ(::read(ready[0], &byte, 1), 1);
  {
    auto ring = RingFile::open(path, RingFile::Access::kCopy);
    ASSERT_TRUE(ring.ok());
    EXPECT_TRUE(is_writer_alive(*ring));
    EXPECT_TRUE(is_writer_alive(*ring)) << "asking must not take the lock";
    ASSERT_EQ(::kill(writer, SIGKILL), 0);
    int status = 0;
    ASSERT_EQ(::waitpid(writer, &status, 0), writer);
    EXPECT_FALSE(is_writer_alive(*ring));
  }
  ::close(ready[0]);
  ::close(ready[1]);
}

TEST(RingFileName, IsByIndexAndTheSessionsOwnIsApart) {
  EXPECT_EQ(ring_file_name(12), "vcpu-12.ring");
  EXPECT_EQ(ring_file_name(kSessionStream), "session.ring");
}

}  // namespace
}  // namespace kvmtape::testing
