// The drain in another process than the vCPUs: it maps their rings by name, and goes on when they
// are killed. Everything that was published is in the trace.
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <random>
#include <thread>
#include <vector>

#include "recorder/capture/vcpu_capture.h"
#include "recorder/drain/clock_reading.h"
#include "recorder/ring/ring_create.h"
#include "tests/support/fake_vcpu.h"
#include "tests/support/ring_recording.h"

namespace kvmtape::testing {
namespace {

constexpr uint32_t kVcpusOfChild = 2;

// What the producer tells its parent, in shared memory: counted after an exit was published, so
// that at any kill at most one more than this can be in a ring.
struct Progress {
  std::atomic<uint32_t> ready;
  std::atomic<uint64_t> produced[kVcpusOfChild];
};

[[noreturn]] void produce(const std::string& directory, Progress& progress) {
  auto session_ring = create_ring(directory + "/session.ring", {.vcpu_index = kSessionStream});
  if (!session_ring.ok() || !lock_as_writer(*session_ring)) ::_exit(1);
  std::vector<std::thread> threads;
  for (uint32_t index = 0; index < kVcpusOfChild; ++index) {
    auto ring = create_ring(directory + "/" + ring_file_name(index),
                            {.vcpu_index = index, .vcpu_id = index, .ring_bytes = 256 * 1024});
    if (!ring.ok()) ::_exit(1);
    threads.emplace_back([&progress, index, file = std::move(*ring)] {
      FakeVcpu vcpu;
      VcpuCapture capture(file.header(), vcpu.mapping(), vcpu.mapping_bytes(), FakeVcpu::kVcpuFd,
                          {});
      ++progress.ready;
      for (uint64_t number = 0;; ++number) {
        vcpu.set_numbered(number);
        capture.exit(0, 0);
        capture.enter();
        progress.produced[index].store(number + 1, std::memory_order_release);
        if (number % 1000 == 0) std::this_thread::sleep_for(std::chrono::microseconds(300));
      }
    });
  }
  for (auto& thread : threads) thread.join();
  ::_exit(0);
}

void kill_and_check(uint64_t seed) {
  ScratchDirectory directory(true);
  auto* progress = static_cast<Progress*>(
      ::mmap(nullptr, sizeof(Progress), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0));
  ASSERT_NE(progress, MAP_FAILED);
  const pid_t producer = ::fork();
  if (producer == 0) produce(directory.path(), *progress);
  while (progress->ready != kVcpusOfChild)
    std::this_thread::sleep_for(std::chrono::milliseconds(1));

  Session session;
  session.uuid = random_uuid();
  session.architecture = Architecture::kX86_64;
  session.start = read_clocks();
  const std::string path = directory / "killed.kvmtape";
  auto file = TraceFile::create(path, false, session.uuid);
  ASSERT_TRUE(file.ok());
  Drain drain(std::move(*file), std::move(session));
  std::vector<RingFile> rings;
  for (uint32_t index : {0u, 1u, kSessionStream}) {
    auto ring = RingFile::open(directory / ring_file_name(index), RingFile::Access::kShared);
    ASSERT_TRUE(ring.ok()) << ring.error().to_string();
    rings.push_back(std::move(*ring));
    drain.add_stream(rings.back().header());
  }
  EXPECT_TRUE(is_writer_alive(rings.back()));
  std::mt19937_64 random(seed);
  for (uint64_t pumps = random() % 60; pumps > 0; --pumps) {
    drain.pump();
    std::this_thread::sleep_for(std::chrono::microseconds(random() % 2000));
  }
  ASSERT_EQ(::kill(producer, SIGKILL), 0);
  int status = 0;
  ASSERT_EQ(::waitpid(producer, &status, 0), producer);
  ASSERT_TRUE(WIFSIGNALED(status));
  EXPECT_FALSE(is_writer_alive(rings.back()));
  auto finished = drain.finish();
  ASSERT_TRUE(finished.ok()) << finished.error().to_string();

  uint64_t misplaced = 0;
  auto trace = walk_trace(path, [&](const WalkedItem& item) {
    if (item.exit != nullptr)
      misplaced += FakeVcpu::number_in(item.exit->kvm_run) != item.exit->seq;
  });
  ASSERT_TRUE(trace.ok()) << trace.error().to_string();
  EXPECT_EQ(misplaced, 0u);
  for (uint32_t index = 0; index < kVcpusOfChild; ++index) {
    EXPECT_TRUE(trace->streams[index].in_sequence);
    EXPECT_GE(trace->streams[index].next_seq, progress->produced[index]);
    EXPECT_LE(trace->streams[index].next_seq, progress->produced[index] + 1);
  }
  ::munmap(progress, sizeof(Progress));
}

TEST(DrainProcess, EverythingThatAKilledMonitorPublishedIsInTheTrace) {
  for (uint64_t seed = 0; seed < 12; ++seed) kill_and_check(seed);
}

}  // namespace
}  // namespace kvmtape::testing
