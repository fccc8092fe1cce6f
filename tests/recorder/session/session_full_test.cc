// No room: on the disk, in shared memory, under the cap. The guest runs on, the loss is counted.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "tests/support/small_file_system.h"
#include "tests/support/test_session.h"

namespace kvmtape::testing {
namespace {

using ::testing::HasSubstr;

TEST(SessionFull, AFullDiskLosesAndCountsAndRecordingGoesOnWhenThereIsRoomAgain) {
  SmallFileSystem disk(1 << 20);
  if (!disk.mounted()) GTEST_SKIP() << disk.why_not();
  TestSession test;
  test.path = disk / "vm.kvmtape";
  test.options.ring_bytes = 64 * 1024;
  ASSERT_TRUE(test.open()) << test.error.text;
  FakeVcpu vcpu;
  kvmtape_vcpu* tape = test.attach(0, vcpu);
  constexpr uint64_t kBefore = 2000, kFull = 10'000, kAfter = 500;
  test.run_noisily(tape, vcpu, kBefore);
  ASSERT_EQ(kvmtape_snapshot(test.session, "before", nullptr), 0);
  kvmtape_totals before;
  kvmtape_get_totals(test.session, &before);
  ASSERT_GT(before.exits, 0u);
  disk.fill();
  test.run_noisily(tape, vcpu, kFull);
  EXPECT_EQ(kvmtape_snapshot(test.session, "full", &test.error), -1);
  EXPECT_THAT(test.error.text, HasSubstr("No space left on device"));
  kvmtape_totals totals;
  kvmtape_get_totals(test.session, &totals);
  EXPECT_GT(totals.write_errors, 0u);
  auto readable = walk_trace(test.path);
  ASSERT_TRUE(readable.ok()) << readable.error().to_string();
  EXPECT_GE(readable->exits(), before.exits) << "what was written stays readable";

  disk.free();
  EXPECT_EQ(kvmtape_snapshot(test.session, "free", &test.error), 0) << test.error.text;
  test.run_noisily(tape, vcpu, kAfter);
  ASSERT_EQ(test.close(), 0) << test.error.text;
  auto trace = walk_trace(test.path);
  ASSERT_TRUE(trace.ok());
  EXPECT_TRUE(trace->sealed);
  EXPECT_TRUE(trace->streams[0].in_sequence);
  EXPECT_GT(trace->lost(), 0u);
  EXPECT_EQ(trace->exits() + trace->lost(), kBefore + kFull + kAfter);
  EXPECT_EQ(test.totals.exits, trace->exits());
  EXPECT_EQ(test.totals.lost, trace->lost());
}

TEST(SessionFull, ClosingOnAFullDiskKeepsTheRingsAndSaysSo) {
  SmallFileSystem disk(512 * 1024);
  if (!disk.mounted()) GTEST_SKIP() << disk.why_not();
  TestSession test;
  test.path = disk / "vm.kvmtape";
  ASSERT_TRUE(test.open());
  FakeVcpu vcpu;
  kvmtape_vcpu* tape = test.attach(0, vcpu);
  disk.fill();
  test.run_noisily(tape, vcpu, 100);
  EXPECT_EQ(test.close(), -1);
  EXPECT_EQ(test.error.code, EIO);
  EXPECT_THAT(test.error.text, HasSubstr(test.path + ": cannot write the trace"));
  EXPECT_FALSE(std::filesystem::is_empty(test.ring_directory));
  EXPECT_FALSE(walk_trace(test.path)->sealed);
}

// What a jailer may set. The signal must not kill the monitor in whichever thread it arises.
TEST(SessionFull, ALimitOnFileSizesIsAFullDiskToo) {
  TestSession test;
  test.options.ring_bytes = 64 * 1024;
  EXPECT_EXIT(
      {
        if (!test.open()) ::_exit(2);
        FakeVcpu vcpu;
        kvmtape_vcpu* tape = test.attach(0, vcpu);
        rlimit limit{};
        limit.rlim_cur = limit.rlim_max = std::filesystem::file_size(test.path) + 2000;
        ::setrlimit(RLIMIT_FSIZE, &limit);
        test.run_noisily(tape, vcpu, 1000);
        FakeVcpu late;
        test.run_noisily(test.attach(1, late), late, 10);
        if (kvmtape_snapshot(test.session, "", nullptr) != -1) ::_exit(3);
        ::_exit(test.close() == -1 ? 0 : 4);
      },
      ::testing::ExitedWithCode(0), "");
}

TEST(SessionFull, AVcpuWithoutSharedMemoryIsCountedAndShownAsAGap) {
  SmallFileSystem shared_memory(600 * 1024);
  if (!shared_memory.mounted()) GTEST_SKIP() << shared_memory.why_not();
  TestSession test;
  test.ring_directory = shared_memory.path();
  test.options.ring_bytes = 256 * 1024;
  ASSERT_TRUE(test.open()) << test.error.text;
  FakeVcpu first, second;
  kvmtape_vcpu* recorded = test.attach(0, first);
  EXPECT_EQ(test.error.code, 0) << test.error.text;
  kvmtape_vcpu* counted = test.attach(1, second);
  ASSERT_NE(counted, nullptr);
  EXPECT_EQ(test.error.code, ENOSPC);
  EXPECT_THAT(test.error.text, HasSubstr("the exits of vCPU 1 are only counted"));
  for (uint64_t number = 0; number < 50; ++number) {
    TestSession::run_numbered(recorded, first, number);
    TestSession::run_numbered(counted, second, number);
  }
  kvmtape_totals totals;
  kvmtape_get_totals(test.session, &totals);
  EXPECT_EQ(totals.lost, 50u);
  ASSERT_EQ(test.close(), 0) << test.error.text;
  EXPECT_EQ(test.totals.exits, 50u);
  EXPECT_EQ(test.totals.lost, 50u);
  GapRecord gap{};
  auto trace = walk_trace(test.path, [&](const WalkedItem& item) {
    if (item.side != nullptr && item.side->kind == RecordKind::kGap) {
      EXPECT_EQ(item.vcpu_index, 1u);
      gap = gap_in(*item.side);
    }
  });
  ASSERT_TRUE(trace.ok());
  EXPECT_EQ(gap.lost, 50u);
  EXPECT_EQ(gap.why, static_cast<uint32_t>(GapReason::kNoRing));
  EXPECT_EQ(trace->session.vcpus.size(), 2u);
}

TEST(SessionFull, TheCapOverAllRingsIsKept) {
  TestSession test;
  test.options.ring_bytes = 64 * 1024;
  test.options.ring_bytes_total = 3 * (64 * 1024 + 4096);
  ASSERT_TRUE(test.open());
  std::vector<FakeVcpu> vcpus(5);
  for (unsigned id = 0; id < 5; ++id) {
    kvmtape_vcpu* tape = test.attach(id, vcpus[id]);
    ASSERT_NE(tape, nullptr);
    EXPECT_EQ(test.error.code != 0, id >= 3) << test.error.text;
    TestSession::run_numbered(tape, vcpus[id], 0);
  }
  EXPECT_THAT(test.error.text, HasSubstr("raise ring_bytes_total"));
  ASSERT_EQ(test.close(), 0);
  EXPECT_EQ(test.totals.exits, 3u);
  EXPECT_EQ(test.totals.lost, 2u);
}

}  // namespace
}  // namespace kvmtape::testing
