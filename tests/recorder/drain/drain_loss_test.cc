// recorded + lost = produced, exactly, for each vCPU, with a drain that is too slow for them.
#include <gtest/gtest.h>

#include <array>
#include <atomic>
#include <chrono>
#include <memory>
#include <thread>
#include <vector>

#include "recorder/capture/vcpu_capture.h"
#include "tests/support/fake_vcpu.h"
#include "tests/support/ring_recording.h"
#include "tests/support/sanitizers.h"

namespace kvmtape::testing {
namespace {

constexpr uint64_t kExits = kSanitized ? 100'000 : 1'000'000;
constexpr uint32_t kVcpus = 4;

// Of all vCPUs from one look of the drain to the next at least, and twice that at most: more than
// their rings hold together, however fast either of them is.
constexpr uint64_t kExitsALook = 32'768;

// Each exit carries its true number, so a gap that stands in the wrong place or counts wrongly
// shifts every number behind it.
WalkedTrace race(bool overwrite) {
  RingRecording recording(kVcpus, 256 * 1024, overwrite);
  std::atomic<uint32_t> running{kVcpus};
  std::atomic<uint64_t> produced{0}, looked_at{0};
  const auto rest = [] { std::this_thread::sleep_for(std::chrono::microseconds(100)); };
  std::vector<std::thread> threads;
  for (uint32_t index = 0; index < kVcpus; ++index)
    threads.emplace_back([&, index] {
      FakeVcpu vcpu;
      VcpuCapture capture(recording.ring(index), vcpu.mapping(), vcpu.mapping_bytes(),
                          FakeVcpu::kVcpuFd, {});
      capture.enter();
      for (uint64_t number = 0; number < kExits / kVcpus; ++number) {
        vcpu.set_numbered(number);
        capture.exit(0, 0);
        capture.enter();
        if (number % 1024 != 0) continue;
        produced += 1024;
        do rest();
        while (produced - looked_at > 2 * kExitsALook);
      }
      capture.finish();
      --running;
    });
  while (running != 0) {
    recording.drain().pump();
    looked_at = produced.load();
    while (running != 0 && produced - looked_at < kExitsALook) rest();
  }
  for (auto& thread : threads) thread.join();
  std::array<uint64_t, kVcpus> misplaced{};
  auto trace = recording.finish([&](const WalkedItem& item) {
    if (item.exit != nullptr)
      misplaced[item.vcpu_index] += FakeVcpu::number_in(item.exit->kvm_run) != item.exit->seq;
  });
  for (uint32_t index = 0; index < kVcpus; ++index) {
    EXPECT_EQ(misplaced[index], 0u);
    EXPECT_EQ(trace.streams[index].exits + trace.streams[index].lost, kExits / kVcpus);
  }
  const DrainTotals totals = recording.drain().totals();
  EXPECT_EQ(totals.exits, trace.exits());
  EXPECT_EQ(totals.lost, trace.lost());
  EXPECT_EQ(totals.exits + totals.lost, kExits);
  return trace;
}

TEST(DrainLoss, ASlowDrainLosesExitsButNeverCountOrPlace) {
  const WalkedTrace trace = race(false);
  EXPECT_GT(trace.lost(), 0u);
  EXPECT_GT(trace.exits(), kExits / 50) << "more than what the rings hold at once";
}

TEST(DrainLoss, ASlowDrainOfOverwritingRingsKnowsWhatIsGone) { EXPECT_GT(race(true).lost(), 0u); }

}  // namespace
}  // namespace kvmtape::testing
