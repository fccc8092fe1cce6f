// A recording in bounds, and one whose files somebody takes away: each file stands alone, the
// oldest goes, what is lost is counted, the guest does not notice.
#include <gmock/gmock.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstddef>
#include <cstring>
#include <filesystem>
#include <thread>

#include "replayer/trace_reader.h"
#include "tests/support/small_file_system.h"
#include "tests/support/test_session.h"

namespace kvmtape::testing {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;

class BoundsTest : public ::testing::Test {
 protected:
  BoundsTest() {
    session_.options.registers = KVMTAPE_REGISTERS_NEVER;
    session_.options.ring_bytes = 4 << 20;  // so that nothing is lost, whatever is held up
  }
  void open() {
    ASSERT_TRUE(session_.open()) << session_.error.text;
    tape_ = session_.attach(0, vcpu_);
  }
  void run(uint64_t exits) {
    session_.run_noisily(tape_, vcpu_, exits);
    produced_ += exits;
  }
  std::string aside(int number) const {
    return session_.path.substr(0, session_.path.size() - 7) + std::to_string(number) + ".kvmtape";
  }
  // Sealed and whole; the sequence behind its last exit or gap.
  static uint64_t read(const std::string& path, uint64_t first_seq) {
    auto opened = TraceReader::open(path);
    EXPECT_TRUE(opened) << opened.error().to_string();
    if (!opened) return 0;
    TraceReader& reader = **opened;
    EXPECT_TRUE(reader.health().sealed);
    EXPECT_EQ(reader.health().damaged_chunks, 0u);
    EXPECT_FALSE(reader.session().kernel_release.empty());
    for (Item item; reader.next(item);) {
      if (item.kind == Item::Kind::kGap) first_seq += item.gap.lost;
      if (item.kind != Item::Kind::kExit) continue;
      EXPECT_EQ(item.seq, first_seq);
      if (item.seq != first_seq) break;
      ++first_seq;
    }
    return first_seq;
  }

  TestSession session_;
  FakeVcpu vcpu_;
  kvmtape_vcpu* tape_ = nullptr;
  uint64_t produced_ = 0;
};

TEST_F(BoundsTest, EachFileStandsAloneAndTogetherTheyHoldEverything) {
  session_.options.max_file_bytes = 512 * 1024;
  session_.options.max_files = 0;
  open();
  run(20'000);
  ASSERT_EQ(session_.close(), 0) << session_.error.text;
  uint64_t seq = 0;
  int64_t end_ns = 0;
  int files = 1;
  for (; fs::exists(aside(files)); ++files) {
    EXPECT_LE(fs::file_size(aside(files)), 512u * 1024);
    seq = read(aside(files), seq);
    const auto reader = TraceReader::open(aside(files));
    EXPECT_EQ((*reader)->begin_ns() == 0, files == 1);
    EXPECT_GE((*reader)->begin_ns(), end_ns) << "what came before is in the file before";
    end_ns = (*reader)->duration_ns();
  }
  EXPECT_GT(files, 2) << "the test shows nothing";
  EXPECT_EQ(read(session_.path, seq), produced_);
  EXPECT_LE(fs::file_size(session_.path), 512u * 1024);
}

TEST_F(BoundsTest, TheOldestFilesGo) {
  session_.options.max_file_bytes = 512 * 1024;
  session_.options.max_files = 2;
  open();
  run(20'000);
  ASSERT_EQ(session_.close(), 0) << session_.error.text;
  int files = 0;
  for (const auto& entry : fs::directory_iterator(fs::path(session_.path).parent_path()))
    files += entry.path().extension() == ".kvmtape" ? 1 : 0;
  EXPECT_EQ(files, 2);
  EXPECT_FALSE(fs::exists(aside(1)));
}

TEST_F(BoundsTest, AFileThatIsOldIsPutAside) {
  session_.options.max_file_seconds = 1;
  open();
  for (int i = 0; i < 200 && !fs::exists(aside(1)); ++i) {
    run(100);
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
  }
  ASSERT_EQ(session_.close(), 0) << session_.error.text;
  ASSERT_TRUE(fs::exists(aside(1)));
  uint64_t seq = read(aside(1), 0);
  for (int i = 2; fs::exists(aside(i)); ++i) seq = read(aside(i), seq);
  EXPECT_EQ(read(session_.path, seq), produced_);
}

TEST_F(BoundsTest, AFileThatIsRemovedIsBegunAnew) {
  open();
  run(1000);
  ASSERT_EQ(kvmtape_snapshot(session_.session, "before", nullptr), 0);
  fs::remove(session_.path);
  run(1000);
  ASSERT_EQ(session_.close(), 0) << session_.error.text;
  EXPECT_EQ(read(session_.path, 1000), 2000u);
}

TEST_F(BoundsTest, AFileThatIsRemovedWhileNothingComesIsBegunAnewAndLeadsToItsRings) {
  open();
  run(10);
  ASSERT_EQ(kvmtape_snapshot(session_.session, "before", nullptr), 0);
  fs::remove(session_.path);
  std::string rings;
  for (int i = 0; i < 3000 && rings.empty(); ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
    if (const auto reader = TraceReader::open(session_.path); reader.ok())
      rings = (*reader)->session().ring_directory;
  }
  ASSERT_FALSE(rings.empty());
  EXPECT_EQ(rings, session_.ring_directory + rings.substr(rings.rfind('/')));
  ASSERT_EQ(session_.close(), 0) << session_.error.text;
}

TEST_F(BoundsTest, WithoutItsDirectoryTheGuestRunsOnAndTheLossIsCounted) {
  session_.options.ring_bytes = 64 * 1024;
  const ScratchDirectory place;
  fs::create_directory(place / "gone");
  session_.path = place / "gone/vm.kvmtape";
  open();
  run(1000);
  ASSERT_EQ(kvmtape_snapshot(session_.session, "before", nullptr), 0);
  fs::remove_all(place / "gone");
  run(5000);
  EXPECT_EQ(kvmtape_snapshot(session_.session, "after", &session_.error), -1);
  EXPECT_THAT(session_.error.text, HasSubstr("was removed while it was being written"));
  kvmtape_totals totals;
  kvmtape_get_totals(session_.session, &totals);
  EXPECT_GT(totals.write_errors, 0u);
  EXPECT_EQ(session_.close(), -1) << "it must not say that all is well";
}

TEST_F(BoundsTest, AReadOnlyFileSystemIsToldAtOnce) {
  SmallFileSystem disk(1 << 20);
  if (!disk.mounted()) GTEST_SKIP() << disk.why_not();
  ASSERT_EQ(::mount(nullptr, disk.path().c_str(), nullptr, MS_REMOUNT | MS_RDONLY, nullptr), 0);
  session_.path = disk / "vm.kvmtape";
  EXPECT_FALSE(session_.open());
  EXPECT_THAT(session_.error.text, HasSubstr("Read-only file system"));
}

// From now on every thread's pwrite() fails, as where a quota is used up or a file system has been
// remounted read-only (which the kernel does by itself after an error; nobody else may while a file
// is open for writing). Needs no root, nor a file system that knows quotas.
bool refuse_writes(int error_number) {
  sock_filter steps[] = {
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_pwrite64, 0, 1),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | static_cast<uint32_t>(error_number)),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)};
  const sock_fprog program{std::size(steps), steps};
  return ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
         ::syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_TSYNC, &program) == 0;
}

class RefusedWrites : public BoundsTest, public ::testing::WithParamInterface<int> {
 protected:
  static constexpr uint64_t kBefore = 1000, kAfter = 5000;
  // As a monitor that is recorded does; what went wrong, 0 if nothing.
  int record_and_be_refused() {
    open();
    run(kBefore);
    if (kvmtape_snapshot(session_.session, "before", nullptr) != 0) return 1;
    if (!refuse_writes(GetParam())) return 2;
    run(kAfter);
    if (kvmtape_snapshot(session_.session, "after", &session_.error) != -1) return 3;
    if (std::strstr(session_.error.text, std::strerror(GetParam())) == nullptr) return 4;
    kvmtape_totals totals;
    kvmtape_get_totals(session_.session, &totals);
    if (totals.write_errors == 0 || totals.lost == 0) return 5;
    return session_.close() == -1 ? 0 : 6;  // it must not say that all is well
  }
};

TEST_P(RefusedWrites, TheGuestRunsOnAndFileRingsAndLossAreAllThatItDid) {
  const uint32_t refusal = SECCOMP_RET_ERRNO;
  if (::syscall(SYS_seccomp, SECCOMP_GET_ACTION_AVAIL, 0, &refusal) != 0)
    GTEST_SKIP() << "no system call can be made to fail here: " << std::strerror(errno);
  session_.options.ring_bytes = 64 * 1024;
  EXPECT_EXIT(::_exit(record_and_be_refused()), ::testing::ExitedWithCode(0), "");
  auto opened = TraceReader::open(session_.path);
  ASSERT_TRUE(opened) << opened.error().to_string();
  TraceReader& reader = **opened;
  EXPECT_GT(reader.health().file_exits, 0u) << "what was written stays readable";
  EXPECT_GT(reader.health().ring_exits, 0u);
  uint64_t seq = 0;
  for (Item item; reader.next(item);) {
    if (item.kind == Item::Kind::kGap) seq += item.gap.lost;
    if (item.kind != Item::Kind::kExit) continue;
    ASSERT_EQ(item.seq, seq);
    ++seq;
  }
  EXPECT_EQ(seq, kBefore + kAfter);
}
INSTANTIATE_TEST_SUITE_P(Errors, RefusedWrites, ::testing::Values(EDQUOT, EROFS, EIO),
                         [](const auto& error) { return ::strerrorname_np(error.param); });

TEST_F(BoundsTest, TheOldRecordingStaysUntilTheNewOneIsCertain) {
  open();
  run(10);
  ASSERT_EQ(session_.close(), 0);
  session_.options.force = 1;
  const std::string rings = session_.ring_directory;
  session_.ring_directory = "/proc/no-rings-here";
  EXPECT_FALSE(session_.open());
  EXPECT_EQ(read(session_.path, 0), 10u);
  session_.ring_directory = rings;
  open();
  run(20);
  ASSERT_EQ(session_.close(), 0);
  EXPECT_EQ(read(session_.path, 0), 20u);
  EXPECT_EQ(std::distance(fs::directory_iterator(fs::path(session_.path).parent_path()), {}), 2)
      << "the recording and the directory of rings, nothing left over";
}

}  // namespace
}  // namespace kvmtape::testing
