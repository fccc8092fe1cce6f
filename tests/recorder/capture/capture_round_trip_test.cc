// What lay in kvm_run is what the trace gives back, bit for bit, at both moments of an exit.
#include <errno.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <optional>
#include <random>

#include "recorder/capture/vcpu_capture.h"
#include "tests/support/fake_vcpu.h"
#include "tests/support/ring_recording.h"

namespace kvmtape::testing {
namespace {

struct Moment {
  Bytes run, data;
  bool operator==(const Moment&) const = default;
};
struct LaidDown {
  int32_t ret = 0;
  Moment exit;
  std::optional<Moment> answer;
};

class RandomMonitor {
 public:
  RandomMonitor(RingHeader* ring, uint64_t seed, bool with_sync)
      : capture_(ring, vcpu_.mapping(), vcpu_.mapping_bytes(), FakeVcpu::kVcpuFd,
                 {.registers = RegisterPolicy::kNever}),
        random_(seed),
        with_sync_(with_sync) {
    if (chance(2)) capture_.enter();
  }
  ~RandomMonitor() { capture_.finish(); }

  void run_once() {
    LaidDown laid;
    vcpu_.scramble(random_, below(random_, 4));
    int ret = 0, error = 0;
    choose_exit();
    if (chance(10)) {
      ret = -1;
      const int errors[] = {EINTR, EAGAIN, EFAULT, EHWPOISON, EINVAL, 0};
      error = errors[below(random_, 6)];
    }
    choose_sync();
    fill_port_data();
    laid.ret = ret == 0 ? 0 : error == 0 ? -EIO : -error;
    laid.exit = moment(ret);
    errno = 4711;
    capture_.exit(ret, error);
    EXPECT_EQ(errno, 4711);
    if (!chance(20)) {  // a monitor that calls KVM_RUN again at once records no answer of its own
      if (chance(2)) fill_port_data();
      vcpu_.scramble(random_, below(random_, 3));
      if (with_sync_ && chance(4)) vcpu_.run().kvm_dirty_regs = random_() % 2;
      if (with_sync_) vcpu_.scramble_sync(random_, below(random_, 3));
      laid.answer = moment(ret);
      capture_.enter();
      EXPECT_EQ(errno, 4711);
      if (chance(30)) {
        vcpu_.scramble(random_, 2);
        if (with_sync_) vcpu_.scramble_sync(random_, 2);
        capture_.enter();  // an entry without an exit
      }
    }
    laid_.push_back(std::move(laid));
  }
  const std::vector<LaidDown>& laid() const { return laid_; }

 private:
  bool chance(uint32_t one_in) { return below(random_, one_in) == 0; }
  void choose_exit() {
    switch (below(random_, 6)) {
      case 0:
        vcpu_.set_io(chance(2), static_cast<uint8_t>(1u << below(random_, 3)), 0x3f8, 1);
        break;
      case 1:  // string I/O, now and then more than a page, or elsewhere
        vcpu_.set_io(chance(2), static_cast<uint8_t>(1u << below(random_, 3)), 0x1f0,
                     below(random_, chance(4) ? 5000 : 30));
        if (chance(6)) vcpu_.run().io.data_offset = FakeVcpu::kRunBytes - below(random_, 16);
        if (chance(10)) vcpu_.run().io.data_offset = random_();
        break;
      case 2:
        vcpu_.set_mmio(random_(), 1u << below(random_, 4), chance(2));
        break;
      case 3:
        vcpu_.set_reason(static_cast<uint32_t>(random_()));
        vcpu_.word(4) = random_();
        vcpu_.word(5) = random_();
        break;
      case 4:
        vcpu_.run().flags = static_cast<uint16_t>(random_());
        vcpu_.run().if_flag ^= 1;
        break;
      default:
        break;  // the same again
    }
  }
  void choose_sync() {
    if (!with_sync_) return;
    if (chance(5)) vcpu_.run().kvm_valid_regs = chance(2) ? 0 : random_() % 8;
    if (chance(5)) vcpu_.run().kvm_dirty_regs = 0;
    vcpu_.scramble_sync(random_, below(random_, 5));
  }
  void fill_port_data() {
    for (size_t i = 0; i < 8; ++i) vcpu_.port_data()[i] = static_cast<uint8_t>(random_());
    vcpu_.port_data()[below(random_, 4096)] = static_cast<uint8_t>(random_());
  }
  Moment moment(int ret) {
    const bool sync = vcpu_.run().kvm_valid_regs != 0 || vcpu_.run().kvm_dirty_regs != 0;
    return {copy(sync ? vcpu_.core_and_sync() : vcpu_.core()), port_data(ret)};
  }
  Bytes port_data(int ret) {
    if (vcpu_.run().exit_reason != KVM_EXIT_IO || ret < 0) return {};
    const uint64_t bytes = uint64_t{vcpu_.run().io.size} * vcpu_.run().io.count;
    const uint64_t offset = vcpu_.run().io.data_offset;
    if (bytes > 4096 || offset > FakeVcpu::kRunBytes || bytes > FakeVcpu::kRunBytes - offset)
      return {};
    const auto* from = static_cast<const uint8_t*>(vcpu_.mapping()) + offset;
    return {from, from + bytes};
  }

  FakeVcpu vcpu_;
  VcpuCapture capture_;
  std::mt19937_64 random_;
  bool with_sync_;
  std::vector<LaidDown> laid_;
};

// Rings and how often they are drained: one that loses nothing, and one that loses now and then.
struct Drained {
  uint32_t ring_bytes;
  uint32_t one_in;
};
constexpr Drained kInTime{1024 * 1024, 2};
constexpr Drained kTooLate{64 * 1024, 2000};

WalkedTrace round_trip(uint64_t seed, bool with_sync, bool overwrite, Drained drained) {
  RingRecording recording(1, drained.ring_bytes, overwrite);
  std::vector<LaidDown> laid;
  {
    RandomMonitor monitor(recording.ring(0), seed, with_sync);
    std::mt19937_64 random(seed);
    for (int i = 0; i < 20'000; ++i) {
      monitor.run_once();
      if (below(random, drained.one_in) == 0) recording.drain().pump();
    }
    laid = monitor.laid();
  }
  uint64_t differing = 0;
  auto trace = recording.finish([&](const WalkedItem& item) {
    if (item.exit == nullptr || differing > 0) return;
    const RecordedExit& exit = *item.exit;
    if (exit.seq >= laid.size()) {
      ++differing;
      return;
    }
    const LaidDown& expected = laid[exit.seq];
    const Moment found{copy(exit.kvm_run), copy(exit.data)};
    const Moment answer{copy(exit.answer_kvm_run), copy(exit.answer_data)};
    const bool same = exit.ret == expected.ret && found == expected.exit &&
                      (!exit.has_answer || (expected.answer && answer == *expected.answer)) &&
                      (exit.has_answer || !expected.answer || with_sync || overwrite);
    if (same) return;
    ++differing;
    ADD_FAILURE() << "exit " << exit.seq << ": ret " << exit.ret << " for " << expected.ret
                  << ", kvm_run " << (found.run == expected.exit.run) << ", data "
                  << (found.data == expected.exit.data) << ", has answer " << exit.has_answer
                  << expected.answer.has_value() << ", its kvm_run "
                  << (expected.answer && answer.run == expected.answer->run) << ", its data "
                  << (expected.answer && answer.data == expected.answer->data);
  });
  EXPECT_EQ(differing, 0u);
  EXPECT_EQ(trace.exits() + trace.lost(), laid.size());
  return trace;
}

TEST(CaptureRoundTrip, GivesBackEveryByteOfBothMoments) {
  for (uint64_t seed = 0; seed < 4; ++seed)
    EXPECT_EQ(round_trip(seed, false, false, kInTime).lost(), 0u) << seed;
}

TEST(CaptureRoundTrip, GivesBackTheSyncAreaWhenAnyOfItIsValidOrDirty) {
  for (uint64_t seed = 10; seed < 14; ++seed) round_trip(seed, true, false, kInTime);
}

TEST(CaptureRoundTrip, GivesBackWhatStandsBetweenDrops) {
  for (uint64_t seed = 20; seed < 24; ++seed)
    EXPECT_GT(round_trip(seed, seed % 2 == 0, false, kTooLate).lost(), 0u) << seed;
}

TEST(CaptureRoundTrip, GivesBackWhatWasNotOverwritten) {
  for (uint64_t seed = 30; seed < 34; ++seed)
    EXPECT_GT(round_trip(seed, seed % 2 == 0, true, kTooLate).lost(), 0u) << seed;
}

}  // namespace
}  // namespace kvmtape::testing
