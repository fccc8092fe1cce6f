// Creating rings: geometry, names, modes, and file systems without room.
#include "recorder/ring/ring_create.h"

#include <gmock/gmock.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>

#include "recorder/ring/ring_writer.h"
#include "tests/support/memory_ring.h"
#include "tests/support/scratch.h"
#include "tests/support/small_file_system.h"

namespace kvmtape::testing {
namespace {

using ::testing::HasSubstr;

uint32_t mode_of(const std::string& path) {
  struct stat status {};
  EXPECT_EQ(::lstat(path.c_str(), &status), 0) << path;
  return status.st_mode & 07777;
}

TEST(RingGeometry, IsWholeBlocksWithinLimitsAndNeverMoreThanAskedFor) {
  for (uint64_t bytes = 1; bytes < uint64_t{1} << 32; bytes = bytes * 3 / 2 + 1) {
    const RingGeometry geometry = ring_geometry(bytes);
    ASSERT_GE(geometry.block_bytes, kBlockBytesMin) << bytes;
    ASSERT_LE(geometry.block_bytes, kBlockBytesMax) << bytes;
    ASSERT_EQ(geometry.block_bytes % 4096, 0u) << bytes;
    ASSERT_GE(geometry.block_count, kBlockCountMin) << bytes;
    const uint64_t least = uint64_t{kBlockBytesMin} * kBlockCountMin;
    ASSERT_LE(geometry.file_bytes() - kRingHeaderBytes, std::max(bytes, least)) << bytes;
  }
  EXPECT_EQ(ring_geometry(1 << 20).block_bytes, 64u * 1024);
  EXPECT_EQ(ring_geometry(1 << 20).block_count, 16u);
  EXPECT_EQ(ring_geometry(256 * 1024).block_bytes, kBlockBytesMin);
  EXPECT_EQ(ring_geometry(~uint64_t{0}).block_count, 1u << 20);
}

TEST(RingCreate, MakesAPrivateFileThatIsAllocatedInFull) {
  ScratchDirectory directory(true);
  auto ring = create_ring(directory / "vcpu-0.ring", {.vcpu_index = 0, .vcpu_id = 7});
  ASSERT_TRUE(ring.ok()) << ring.error().to_string();
  EXPECT_EQ(mode_of(ring->path()), 0600u);
  struct stat status {};
  ASSERT_EQ(::stat(ring->path().c_str(), &status), 0);
  EXPECT_EQ(static_cast<uint64_t>(status.st_size), ring_geometry(1 << 20).file_bytes());
  EXPECT_GE(status.st_blocks * 512, status.st_size) << "sparse: a full file system would kill us";
  EXPECT_EQ(ring->header()->vcpu_id, 7u);
  EXPECT_EQ(ring->header()->writer_pid, static_cast<uint32_t>(::getpid()));
  EXPECT_NE(ring->header()->writer_start_time, 0u);
}

TEST(RingCreate, RefusesANameThatIsTaken) {
  ScratchDirectory directory(true);
  ASSERT_TRUE(create_ring(directory / "vcpu-0.ring", {}).ok());
  auto again = create_ring(directory / "vcpu-0.ring", {});
  ASSERT_FALSE(again.ok());
  EXPECT_EQ(again.error().code, ErrorCode::kIo);
  EXPECT_THAT(again.error().to_string(),
              HasSubstr("vcpu-0.ring: cannot create the ring: File exists"));
}

TEST(RingCreate, DoesNotFollowALink) {
  ScratchDirectory directory(true);
  std::filesystem::create_symlink(directory / "elsewhere", directory / "vcpu-0.ring");
  EXPECT_FALSE(create_ring(directory / "vcpu-0.ring", {}).ok());
  EXPECT_FALSE(std::filesystem::exists(directory / "elsewhere"));
}

TEST(RingCreate, SaysThatThereIsNoRoomAndLeavesNothingBehind) {
  SmallFileSystem small(256 * 1024);
  if (!small.mounted()) GTEST_SKIP() << small.why_not();
  auto ring = create_ring(small / "vcpu-0.ring", {.ring_bytes = 1 << 20});
  ASSERT_FALSE(ring.ok());
  EXPECT_THAT(ring.error().message, HasSubstr("no room for a ring of 1052672 bytes"));
  EXPECT_THAT(ring.error().message, HasSubstr("use smaller rings"));
  EXPECT_FALSE(std::filesystem::exists(small / "vcpu-0.ring"));
}

TEST(RingCreate, ARingOnAFileSystemThatFillsUpLaterCanBeWrittenToItsEnd) {
  SmallFileSystem small(512 * 1024);
  if (!small.mounted()) GTEST_SKIP() << small.why_not();
  auto ring = create_ring(small / "vcpu-0.ring", {.ring_bytes = 256 * 1024});
  ASSERT_TRUE(ring.ok()) << ring.error().to_string();
  small.fill();
  RingWriter writer;
  writer.bind(ring->header());
  uint64_t number = 0;
  while (put_numbered(writer, number, 100)) ++number;  // SIGBUS would end the test here
  EXPECT_GT(number * 800, 240u * 1024);
}

// A jailer's limit on file sizes; SIGXFSZ would kill the monitor.
TEST(RingCreate, SaysSoWhenTheProcessMayNotHaveFilesOfThatSize) {
  ScratchDirectory directory(true);
  EXPECT_EXIT(
      {
        rlimit limit{};
        limit.rlim_cur = limit.rlim_max = 64 * 1024;
        ::setrlimit(RLIMIT_FSIZE, &limit);
        ::_exit(create_ring(directory / "vcpu-0.ring", {}).ok() ? 1 : 0);
      },
      ::testing::ExitedWithCode(0), "");
}

TEST(RingDirectory, IsPrivateAndNamedAfterTheSession) {
  ScratchDirectory parent(true);
  const Uuid session = random_uuid();
  auto directory = make_ring_directory(parent.path(), session);
  ASSERT_TRUE(directory.ok()) << directory.error().to_string();
  EXPECT_EQ(*directory, parent / to_string(session));
  EXPECT_EQ(mode_of(*directory), 0700u);
}

TEST(RingDirectory, IsToldByAnAbsolutePathSoThatAReaderElsewhereFindsIt) {
  ScratchDirectory parent(true);
  const auto here = std::filesystem::current_path();
  std::filesystem::create_directory(parent / "rings");
  std::filesystem::current_path(parent.path());
  auto directory = make_ring_directory("rings", random_uuid());
  std::filesystem::current_path(here);
  ASSERT_TRUE(directory.ok()) << directory.error().to_string();
  EXPECT_EQ(directory->front(), '/');
  EXPECT_TRUE(std::filesystem::is_directory(*directory));
}

TEST(RingDirectory, ThatTheUserNamedIsNotMadeUp) {
  ScratchDirectory parent(true);
  const auto directory = make_ring_directory(parent / "typo", random_uuid());
  ASSERT_FALSE(directory.ok());
  EXPECT_THAT(directory.error().to_string(), ::testing::HasSubstr("No such file or directory"));
  EXPECT_FALSE(std::filesystem::exists(parent / "typo"));
}

TEST(RingDirectory, MayBeNamedByALinkThatTheUserMade) {
  ScratchDirectory parent(true);
  std::filesystem::create_directory(parent / "real");
  std::filesystem::create_directory_symlink(parent / "real", parent / "link");
  EXPECT_TRUE(make_ring_directory(parent / "link", random_uuid()).ok());
}

TEST(RingDirectory, RefusesAPlaceWhereAnybodyMayRenameWhatIsOurs) {
  ScratchDirectory parent(true);
  ASSERT_EQ(::chmod(parent.path().c_str(), 0777), 0);
  const auto directory = make_ring_directory(parent.path(), random_uuid());
  ASSERT_FALSE(directory.ok());
  EXPECT_THAT(directory.error().to_string(), HasSubstr("chmod +t"));
  ASSERT_EQ(::chmod(parent.path().c_str(), 01777), 0);
  EXPECT_TRUE(make_ring_directory(parent.path(), random_uuid()).ok()) << "as /tmp is";
}

TEST(RingDirectory, RefusesAPlaceWhoseOwnerMayRenameWhatIsOurs) {
  ScratchDirectory parent(true);
  if (::chown(parent.path().c_str(), 65534, 65534) != 0)
    GTEST_SKIP() << "needs root to give it away";
  for (const mode_t mode : {0755u, 01777u}) {
    ASSERT_EQ(::chmod(parent.path().c_str(), mode), 0);
    const auto directory = make_ring_directory(parent.path(), random_uuid());
    ASSERT_FALSE(directory.ok()) << mode;
    EXPECT_THAT(directory.error().to_string(), HasSubstr("another user (uid 65534)"));
  }
}

TEST(RingDirectory, RefusesAParentThatIsNoDirectory) {
  ScratchDirectory parent(true);
  ASSERT_TRUE(create_ring(parent / "file", {}).ok());
  auto directory = make_ring_directory(parent / "file", random_uuid());
  ASSERT_FALSE(directory.ok());
  EXPECT_THAT(directory.error().to_string(), HasSubstr("name another with --ring-dir"));
}

// Run as another user, because that user's default place is what a stranger can take first.
TEST(RingDirectory, RefusesADefaultPlaceThatBelongsToSomebodyElseOrIsALink) {
  if (::geteuid() != 0) GTEST_SKIP() << "needs root, to be another user";
  constexpr uid_t kStranger = 61234;  // in no passwd; nobody's
  const std::string place = "/dev/shm/kvmtape-" + std::to_string(kStranger);
  const auto refused = [&] {
    EXPECT_EXIT(
        {
          if (::setresuid(kStranger, kStranger, kStranger) != 0) ::_exit(2);
          ::_exit(make_ring_directory("", random_uuid()).ok() ? 1 : 0);
        },
        ::testing::ExitedWithCode(0), "");
  };
  std::filesystem::remove_all(place);
  std::filesystem::create_directory(place);  // root's
  refused();
  std::filesystem::remove(place);
  ScratchDirectory elsewhere(true);
  ASSERT_EQ(::chown(elsewhere.path().c_str(), kStranger, kStranger), 0);
  std::filesystem::create_directory_symlink(elsewhere.path(), place);
  refused();
  std::filesystem::remove(place);
}

}  // namespace
}  // namespace kvmtape::testing
