// When registers are taken, refused, or not asked for; on a descriptor that refuses everything.
#include <errno.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "recorder/capture/vcpu_capture.h"
#include "tests/support/fake_vcpu.h"
#include "tests/support/ring_recording.h"

namespace kvmtape::testing {
namespace {

using ::testing::IsEmpty;
using ::testing::SizeIs;

class CaptureRegistersTest : public ::testing::Test {
 protected:
  void attach(RegisterPolicy policy, bool allow_ioctls, uint32_t every = 1) {
    capture_ = std::make_unique<VcpuCapture>(recording_.ring(0), vcpu_.mapping(),
                                             vcpu_.mapping_bytes(), FakeVcpu::kVcpuFd,
                                             CaptureOptions{policy, every, allow_ioctls});
  }
  void exit_with(uint32_t reason, int ret = 0, int error = 0) {
    vcpu_.set_reason(reason);
    errno = 4711;
    capture_->exit(ret, error);
    EXPECT_EQ(errno, 4711);
    capture_->enter();
  }
  std::vector<RegistersRecord> recorded() {
    capture_->finish();
    std::vector<RegistersRecord> records;
    exits_ = recording_
                 .finish([&](const WalkedItem& item) {
                   if (item.side == nullptr || item.side->kind != RecordKind::kRegisters) return;
                   EXPECT_TRUE(item.side->belongs_to_exit);
                   records.push_back(record_in<RegistersRecord>(*item.side));
                 })
                 .exits();
    return records;
  }
  static uint32_t status(RegisterStatus status) { return static_cast<uint32_t>(status); }

  RingRecording recording_{1, 64 * 1024};
  FakeVcpu vcpu_;
  std::unique_ptr<VcpuCapture> capture_;
  uint64_t exits_ = 0;
};

TEST_F(CaptureRegistersTest, ARefusalIsRecordedWithItsErrno) {
  attach(RegisterPolicy::kDebugExits, true);
  exit_with(KVM_EXIT_DEBUG);
  const auto records = recorded();
  ASSERT_THAT(records, SizeIs(1));
  EXPECT_EQ(records[0].status, status(RegisterStatus::kRefused));
  EXPECT_EQ(records[0].error, static_cast<uint32_t>(EBADF));
#if defined(__aarch64__)  // by its id each: 4, and a breakpoint and a watchpoint of 2 at least
  EXPECT_EQ(records[0].bytes, 8 * sizeof(uint64_t));
#else
  EXPECT_EQ(records[0].bytes, 0u);
#endif
}

TEST_F(CaptureRegistersTest, WithoutLeaveToMakeIoctlsTheyAreNotTaken) {
  attach(RegisterPolicy::kDebugExits, false);
  exit_with(KVM_EXIT_DEBUG);
  exit_with(KVM_EXIT_SHUTDOWN);
  const auto records = recorded();
  ASSERT_GT(records.size(), 2u) << "a crash takes more than the debug registers";
  for (const auto& record : records) EXPECT_EQ(record.status, status(RegisterStatus::kNotTaken));
}

TEST_F(CaptureRegistersTest, OrdinaryExitsTakeNone) {
  attach(RegisterPolicy::kDebugExits, true);
  for (const uint32_t reason :
       {uint32_t{KVM_EXIT_MMIO}, uint32_t{KVM_EXIT_HLT}, uint32_t{KVM_EXIT_IRQ_WINDOW_OPEN}}) {
    exit_with(reason);
  }
  exit_with(KVM_EXIT_INTR, -1, EINTR);
  exit_with(KVM_EXIT_INTR, -1, EAGAIN);
  EXPECT_THAT(recorded(), IsEmpty());
}

TEST_F(CaptureRegistersTest, AFailingRunCountsAsACrash) {
  attach(RegisterPolicy::kDebugExits, true);
  exit_with(KVM_EXIT_MMIO, -1, EFAULT);
  EXPECT_GT(recorded().size(), 1u);
}

TEST_F(CaptureRegistersTest, NeverMeansNeverEvenAtACrash) {
  attach(RegisterPolicy::kNever, true);
  exit_with(KVM_EXIT_SHUTDOWN);
  exit_with(KVM_EXIT_DEBUG);
  capture_->guest_debug_changed();
  exit_with(KVM_EXIT_MMIO);
  EXPECT_THAT(recorded(), IsEmpty());
}

TEST_F(CaptureRegistersTest, EveryThirdExitIsEveryThirdExit) {
  attach(RegisterPolicy::kEvery, true, 3);
  for (int i = 0; i < 10; ++i) exit_with(KVM_EXIT_MMIO);
  EXPECT_THAT(recorded(), SizeIs(3));
}

TEST_F(CaptureRegistersTest, AChangeOfGuestDebugTakesThemOnce) {
  attach(RegisterPolicy::kDebugExits, true);
  exit_with(KVM_EXIT_MMIO);
  capture_->guest_debug_changed();
  exit_with(KVM_EXIT_MMIO);
  exit_with(KVM_EXIT_MMIO);
  EXPECT_THAT(recorded(), SizeIs(1));
}

TEST_F(CaptureRegistersTest, RegistersThatBeginABlockLeaveTheRestReadable) {
  attach(RegisterPolicy::kEvery, true, 1);
  std::mt19937_64 random(7);
  for (int i = 0; i < 2000; ++i) {
    vcpu_.scramble(random, 2);
    exit_with(KVM_EXIT_SHUTDOWN);
    recording_.drain().pump();
  }
  EXPECT_GT(recorded().size(), 2000u);
  EXPECT_EQ(exits_, 2000u);
}

#if defined(__x86_64__)
TEST_F(CaptureRegistersTest, SyncAsksThroughValidRegsAndPutsThemBack) {
  attach(RegisterPolicy::kSync, false);
  vcpu_.run().kvm_valid_regs = KVM_SYNC_X86_EVENTS;
  vcpu_.run().kvm_dirty_regs = 0;
  capture_->enter();
  EXPECT_EQ(vcpu_.run().kvm_valid_regs, sync_register_bits());
  EXPECT_EQ(vcpu_.run().kvm_dirty_regs, 0u);
  vcpu_.set_reason(KVM_EXIT_HLT);
  capture_->exit(0, 0);
  EXPECT_EQ(vcpu_.run().kvm_valid_regs, uint64_t{KVM_SYNC_X86_EVENTS});
}

TEST_F(CaptureRegistersTest, SyncPutsValidRegsBackWhenTheExitIsDropped) {
  attach(RegisterPolicy::kSync, false);
  std::mt19937_64 random(8);
  for (int i = 0; i < 1000; ++i) {  // nobody drains: the ring fills
    capture_->enter();
    EXPECT_EQ(vcpu_.run().kvm_valid_regs, sync_register_bits());
    vcpu_.scramble_sync(random, 20);
    vcpu_.set_reason(KVM_EXIT_HLT);
    capture_->exit(0, 0);
    ASSERT_EQ(vcpu_.run().kvm_valid_regs, 0u) << "after exit " << i;
  }
  EXPECT_GT(recording_.ring(0)->lost_total, 0u);
}
#endif

}  // namespace
}  // namespace kvmtape::testing
