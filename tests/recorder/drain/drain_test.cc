// The drain with one thread: chunks, cuts, failing writes, rings that do not hold together.
#include "recorder/drain/drain.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <random>
#include <utility>
#include <vector>

#include "recorder/capture/vcpu_capture.h"
#include "recorder/drain/clock_reading.h"
#include "recorder/ring/clock.h"
#include "schema/base/uuid_text.h"
#include "tests/support/fake_vcpu.h"
#include "tests/support/ring_recording.h"
#include "tests/support/small_file_system.h"

namespace kvmtape::testing {
namespace {

using ::testing::HasSubstr;

struct NumberedVcpu {
  explicit NumberedVcpu(RingHeader* ring)
      : capture(ring, vcpu.mapping(), vcpu.mapping_bytes(), FakeVcpu::kVcpuFd, {}) {}
  void run(uint64_t exits) {
    for (; exits > 0; --exits) {
      vcpu.set_numbered(produced++);
      vcpu.scramble(random, 3);
      capture.exit(0, 0);
      capture.enter();
    }
  }
  FakeVcpu vcpu;
  VcpuCapture capture;
  std::mt19937_64 random{10};
  uint64_t produced = 0;
};

TEST(Drain, GivesTheRingBackOnlyWhenTheChunkIsInTheFile) {
  const uint64_t begin_ns = monotonic_now_ns();
  RingRecording recording(1, 64 * 1024);
  NumberedVcpu vcpu(recording.ring(0));
  vcpu.run(100);
  recording.drain().pump();  // into the encoder: the ring is far from full
  const uint64_t read_bytes = recording.ring(0)->read_bytes;
  // Once a second everything goes into the file.
  if (monotonic_now_ns() - begin_ns < 1'000'000'000) {
    EXPECT_EQ(read_bytes, 0u);
  }
  ASSERT_TRUE(recording.drain().flush().ok());
  EXPECT_EQ(walk_trace(recording.path())->exits(), 100u);
  RingReader next(recording.ring(0));
  EXPECT_TRUE(next.poll().words.empty()) << "everything that was published has been released";
}

TEST(Drain, AStreamThatHasEndedIsInTheFileWithItsLossAndInTheTotals) {
  RingRecording recording(2, 64 * 1024);
  NumberedVcpu gone(recording.ring(0)), stays(recording.ring(1));
  gone.run(20'000);  // more than fit
  const uint64_t kept = 20'000 - recording.ring(0)->lost_total;
  gone.capture.exit(0, 0);  // in vain
  gone.capture.finish();
  ASSERT_TRUE(recording.drain().end_stream(recording.ring(0)));
  const auto before = walk_trace(recording.path());
  ASSERT_TRUE(before);
  EXPECT_EQ(before->streams.at(0).exits, kept);
  EXPECT_EQ(before->streams.at(0).lost, 20'001 - kept);
  std::memset(static_cast<void*>(recording.ring(0)), 0xa5, kRingHeaderBytes);  // nobody looks
  stays.run(10);
  const WalkedTrace all = recording.finish();
  EXPECT_EQ(all.exits(), kept + 10);
  EXPECT_TRUE(all.streams.at(0).in_sequence);
  const DrainTotals totals = recording.drain().totals();
  EXPECT_EQ(totals.exits, kept + 10);
  EXPECT_EQ(totals.lost, 20'001 - kept);
}

TEST(Drain, AStreamDoesNotEndWhileItsExitsWouldGoNowhere) {
  RingRecording recording(1, 64 * 1024);
  NumberedVcpu vcpu(recording.ring(0));
  vcpu.run(10);
  vcpu.capture.finish();
  ASSERT_TRUE(recording.drain().set_paused(true).ok());
  EXPECT_FALSE(recording.drain().end_stream(recording.ring(0))) << "they are not in the file";
  ASSERT_TRUE(recording.drain().set_paused(false).ok());
  std::filesystem::remove(recording.path());
  EXPECT_FALSE(recording.drain().end_stream(recording.ring(0))) << "nobody would find it";
  ASSERT_TRUE(recording.drain().flush().ok()) << "into a new file";
  EXPECT_TRUE(recording.drain().end_stream(recording.ring(0)));
}

TEST(Drain, WhatAFullRingDroppedBeforeItWasStoppedIsNotLaidToThat) {
  RingRecording recording(1, 64 * 1024);
  NumberedVcpu vcpu(recording.ring(0));
  vcpu.run(20'000);  // more than fit
  const uint64_t dropped = recording.ring(0)->lost_total;
  ASSERT_TRUE(recording.drain().set_paused(true).ok());
  EXPECT_EQ(recording.drain().totals().stopped, 0u);
  vcpu.run(100);
  recording.drain().pump();
  EXPECT_EQ(recording.drain().totals().stopped, 100u);
  ASSERT_TRUE(recording.drain().set_paused(false).ok());
  vcpu.run(10);
  std::vector<std::pair<GapReason, uint64_t>> gaps;
  const WalkedTrace all = recording.finish([&](const WalkedItem& item) {
    if (item.side == nullptr || item.side->kind != RecordKind::kGap) return;
    const GapRecord gap = gap_in(*item.side);
    gaps.emplace_back(static_cast<GapReason>(gap.why), gap.lost);
  });
  EXPECT_THAT(gaps, ::testing::ElementsAre(std::pair(GapReason::kRingFull, dropped),
                                           std::pair(GapReason::kStopped, uint64_t{100})));
  EXPECT_TRUE(all.streams.at(0).in_sequence);
  EXPECT_EQ(all.exits() + all.lost(), 20'110u);
  EXPECT_EQ(recording.drain().totals().lost, dropped + 100);
}

// Also such as the ring had no room for meanwhile, before their gap record comes: what is lost
// beside them never becomes less.
TEST(Drain, AllThatAPauseLosesIsStoppedAsItComes) {
  RingRecording recording(1, 64 * 1024);
  NumberedVcpu vcpu(recording.ring(0));
  ASSERT_TRUE(recording.drain().set_paused(true).ok());
  vcpu.run(20'000);  // more than fit
  for (int i = 0; i < 3; ++i) {
    const DrainTotals totals = recording.drain().totals();
    EXPECT_GT(totals.lost, 0u);
    EXPECT_EQ(totals.stopped, totals.lost);
    recording.drain().pump();
    vcpu.run(1);
  }
}

TEST(Drain, HurriesWhenARingFillsQuicklyNotWhenItIsHalfFull) {
  RingRecording recording(1, 1 << 20);
  RingReader watching(recording.ring(0));
  NumberedVcpu vcpu(recording.ring(0));
  while (watching.blocks_in_use() * 5 < watching.block_count() * 2) {
    vcpu.run(10);
    ASSERT_FALSE(recording.drain().pump()) << "at block " << watching.blocks_in_use();
  }
  const uint32_t before = watching.blocks_in_use();
  while (watching.blocks_in_use() < before + watching.block_count() / 8) vcpu.run(10);
  EXPECT_TRUE(recording.drain().pump());
  EXPECT_FALSE(recording.drain().pump());
}

TEST(Drain, AnExitWaitsInTheRingForItsAnswer) {
  RingRecording recording(1, 64 * 1024);
  NumberedVcpu vcpu(recording.ring(0));
  vcpu.run(5);
  vcpu.capture.exit(0, 0);
  ASSERT_TRUE(recording.drain().flush().ok());
  EXPECT_EQ(walk_trace(recording.path())->exits(), 5u);
  RingReader left(recording.ring(0));
  EXPECT_FALSE(left.poll().words.empty()) << "readable from the ring meanwhile";
  vcpu.capture.enter();
  uint64_t answers = 0;
  EXPECT_EQ(recording
                .finish([&](const WalkedItem& item) {
                  answers += item.exit != nullptr && item.exit->has_answer;
                })
                .exits(),
            6u);
  EXPECT_EQ(answers, 6u);
}

TEST(Drain, TheSessionSaysWhenItWasWrittenThoughNothingHappenedAnyMore) {
  RingRecording recording(1, 64 * 1024);
  NumberedVcpu vcpu(recording.ring(0));
  vcpu.run(5);
  ASSERT_TRUE(recording.drain().flush().ok());
  const uint64_t after_the_last_exit = read_clock();
  EXPECT_GE(recording.finish().session.now.ticks, after_the_last_exit);
}

TEST(Drain, AFailingWriteOfOneStreamLosesNothingOfAny) {
  SmallFileSystem disk(256 * 1024);
  if (!disk.mounted()) GTEST_SKIP() << disk.why_not();
  RingRecording recording(3, 64 * 1024, false, disk / "full.kvmtape");
  std::vector<std::unique_ptr<NumberedVcpu>> vcpus;
  for (uint32_t i = 0; i < 3; ++i)
    vcpus.push_back(std::make_unique<NumberedVcpu>(recording.ring(i)));
  ASSERT_TRUE(recording.drain().flush().ok());
  disk.fill();
  for (int round = 0; round < 40; ++round) {
    for (auto& vcpu : vcpus) vcpu->run(20);
    recording.drain().pump();
    if (round % 8 == 0) {
      EXPECT_FALSE(recording.drain().flush().ok());
    }
  }
  EXPECT_THAT(recording.drain().last_error()->message, HasSubstr("No space left"));
  EXPECT_FALSE(recording.drain().finish().ok());
  disk.free();
  for (auto& vcpu : vcpus) vcpu->capture.finish();
  uint64_t misplaced = 0;
  auto trace = recording.finish([&](const WalkedItem& item) {
    if (item.exit != nullptr)
      misplaced += FakeVcpu::number_in(item.exit->kvm_run) != item.exit->seq &&
                   item.exit->reason == KVM_EXIT_MMIO;
  });
  for (uint32_t i = 0; i < 3; ++i) EXPECT_EQ(trace.streams[i].next_seq, vcpus[i]->produced) << i;
  EXPECT_EQ(recording.drain().totals().lost, trace.lost());
}

TEST(Drain, HurriesOnceTheDiskTakesWhatItRefused) {
  SmallFileSystem disk(256 * 1024);
  if (!disk.mounted()) GTEST_SKIP() << disk.why_not();
  RingRecording recording(1, 64 * 1024, false, disk / "full.kvmtape");
  NumberedVcpu vcpu(recording.ring(0));
  ASSERT_TRUE(recording.drain().flush().ok());
  disk.fill();
  for (int round = 0; round < 20; ++round) {
    vcpu.run(20);
    (void)recording.drain().flush();
  }
  vcpu.run(1000);  // more than the ring holds
  disk.free();
  const uint64_t written = recording.drain().totals().exits;
  bool hurry = false;
  while (recording.drain().totals().exits == written) hurry = recording.drain().pump();
  EXPECT_TRUE(hurry) << "the ring is full, and nobody has read it yet";
  vcpu.capture.finish();
  recording.finish();
}

TEST(Drain, ARingThatDoesNotHoldTogetherIsLeftAndItsExitsAreCountedAsDamaged) {
  RingRecording recording(2, 64 * 1024);
  NumberedVcpu broken(recording.ring(0)), whole(recording.ring(1));
  broken.run(10);
  ASSERT_TRUE(recording.drain().flush().ok());
  RingReader look(recording.ring(0));
  const RingPosition at = look.position();
  broken.run(10);
  auto* words = reinterpret_cast<uint64_t*>(reinterpret_cast<uint8_t*>(recording.ring(0)) +
                                            kRingHeaderBytes + sizeof(BlockHeader) + at.bytes);
  words[0] |= 0xffff;  // a record longer than its block
  for (int round = 0; round < 100; ++round) {
    recording.drain().pump();
    broken.run(100);
    whole.run(10);
  }
  broken.capture.finish();
  whole.capture.finish();
  uint32_t why = 0;
  auto trace = recording.finish([&](const WalkedItem& item) {
    if (item.side != nullptr && item.side->kind == RecordKind::kGap) why = gap_in(*item.side).why;
  });
  EXPECT_EQ(trace.streams[0].exits, 10u);
  EXPECT_EQ(trace.streams[0].exits + trace.streams[0].lost, broken.produced);
  EXPECT_EQ(why, static_cast<uint32_t>(GapReason::kDamaged));
  EXPECT_EQ(trace.streams[1].exits, whole.produced);
}

TEST(Drain, CutsCarryACommonTimeAndIdleTimeWritesNothing) {
  RingRecording recording(2, 64 * 1024);
  NumberedVcpu vcpu(recording.ring(0));
  vcpu.run(1);
  ASSERT_TRUE(recording.drain().flush().ok());
  const uint64_t bytes = recording.drain().totals().bytes;
  ASSERT_TRUE(recording.drain().flush().ok());
  EXPECT_EQ(recording.drain().totals().bytes, bytes);
  vcpu.run(1);
  ASSERT_TRUE(recording.drain().flush().ok());
  EXPECT_EQ(walk_trace(recording.path())->cuts, 2u);
}

TEST(TraceFile, WhatCannotBeAppendedLeavesTheFileAsItWas) {
  SmallFileSystem disk(64 * 1024);
  if (!disk.mounted()) GTEST_SKIP() << disk.why_not();
  auto file = TraceFile::create(disk / "a.kvmtape", false, random_uuid());
  ASSERT_TRUE(file.ok());
  std::vector<uint8_t> chunk;
  append_chunk({}, std::vector<uint8_t>(128 * 1024), chunk);
  const uint64_t before = std::filesystem::file_size(file->path());
  EXPECT_FALSE(file->append(chunk).ok());
  EXPECT_EQ(std::filesystem::file_size(file->path()), before);
  EXPECT_EQ(file->bytes(), before);
}

TEST(TraceFile, WhatCannotBeBegunLeavesNoFile) {
  SmallFileSystem disk(64 * 1024);
  if (!disk.mounted()) GTEST_SKIP() << disk.why_not();
  disk.fill();
  EXPECT_FALSE(TraceFile::create(disk / "a.kvmtape", false, random_uuid()).ok());
  EXPECT_FALSE(std::filesystem::exists(disk / "a.kvmtape"));
}

}  // namespace
}  // namespace kvmtape::testing
