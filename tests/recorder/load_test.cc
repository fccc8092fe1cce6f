// As many exits as four threads produce, through the embedding API: what was recorded and what was
// lost are together what was produced, to the last one, and memory does not grow. Exactness, not
// speed, but where there are processors enough for the threads and the drain, a long run must reach
// its rate and lose nothing; elsewhere it says what it reached. Five seconds; ten minutes with
// KVMTAPE_LOAD_SECONDS=600, as in ./dev soak.
#include <gtest/gtest.h>

#include <array>
#include <chrono>
#include <cstdio>
#include <thread>
#include <vector>

#include "tests/support/full_load.h"
#include "tests/support/sanitizers.h"
#include "tests/support/test_session.h"

namespace kvmtape::testing {
namespace {

constexpr uint32_t kThreads = 4;
constexpr uint64_t kExitsPerSecond = 10'000'000;  // of all threads
constexpr uint64_t kBatch = 4000;  // 1.6 ms: sleeping and waking is not what is driven

constexpr uint64_t kStreamBytesMax = 32u << 20;  // one vCPU's encoder and its share of the process

using Clock = std::chrono::steady_clock;

struct Produced {
  uint64_t exits = 0;
  uint64_t cpu_ns = 0;
};

// Port writes that count up, no faster than a thread's share of the rate.
Produced produce(kvmtape_vcpu* tape, FakeVcpu& vcpu, Clock::time_point end) {
  constexpr auto kBatchTime =
      std::chrono::nanoseconds(1'000'000'000 * kBatch * kThreads / kExitsPerSecond);
  vcpu.set_io(true, 1, 0x3f8, 1);
  uint64_t exits = 0;
  for (auto due = Clock::now(); Clock::now() < end; due += kBatchTime) {
    std::this_thread::sleep_until(due);
    for (uint64_t i = 0; i < kBatch; ++i, ++exits) {
      *vcpu.port_data() = static_cast<uint8_t>(exits);
      kvmtape_exit(tape, 0, 0);
      kvmtape_enter(tape);
    }
  }
  return {exits, cpu_ns(CLOCK_THREAD_CPUTIME_ID)};
}

TEST(Load, WhatIsRecordedAndWhatIsLostIsTogetherWhatWasProduced) {
  TestSession test(true);  // rings lie in memory; how slow a disk is is no matter here
  test.options.registers = KVMTAPE_REGISTERS_NEVER;
  test.options.ring_bytes = 16u << 20;
  test.options.max_file_bytes = 256u << 20;  // so that ten minutes fit there
  test.options.max_files = 2;
  ASSERT_TRUE(test.open()) << test.error.text;
  std::array<FakeVcpu, kThreads> vcpus;
  std::array<Produced, kThreads> produced{};
  const double stolen_before = stolen_seconds();
  const uint64_t cpu_before = cpu_ns(CLOCK_PROCESS_CPUTIME_ID);
  const auto begin = Clock::now();
  const auto end = begin + std::chrono::seconds(load_seconds());
  std::vector<std::thread> threads;
  for (uint32_t id = 0; id < kThreads; ++id) {
    kvmtape_vcpu* tape = test.attach(id, vcpus[id]);
    ASSERT_NE(tape, nullptr);
    threads.emplace_back([&, tape, id] { produced[id] = produce(tape, vcpus[id], end); });
  }
  std::this_thread::sleep_until(begin + (end - begin) / 2);
  const uint64_t resident_early = resident_bytes("self");
  for (std::thread& thread : threads) thread.join();
  const uint64_t resident_late = resident_bytes("self");
  ASSERT_EQ(test.close(), 0) << test.error.text;
  const auto cpu = static_cast<double>(cpu_ns(CLOCK_PROCESS_CPUTIME_ID) - cpu_before);
  uint64_t sum = 0, capture_ns = 0;
  for (const Produced& thread : produced) {
    sum += thread.exits;
    capture_ns += thread.cpu_ns;
  }
  EXPECT_EQ(test.totals.exits + test.totals.lost, sum);
  // The rings and the encoders' columns are all there is. A sanitizer keeps notes of its own on
  // every word that was ever touched.
  if constexpr (!kSanitized) {
    EXPECT_LT(resident_late, kThreads * (test.options.ring_bytes + kStreamBytesMax));
    if (load_seconds() >= kSecondsToSettle) {
      EXPECT_LT(resident_late, resident_early + kGrowthMax);
    }
  }
  const double rate = static_cast<double>(sum) / load_seconds();
  const double share = rate / static_cast<double>(kExitsPerSecond);
  const unsigned processors = std::thread::hardware_concurrency();
  if (load_seconds() >= kSecondsToSettle && !kSanitized) {
    if (processors > kThreads) {
      EXPECT_GT(share, 0.99);
      EXPECT_EQ(test.totals.lost, 0u);
    } else {
      std::printf("rate and loss are not judged: %u processors for %u threads and the drain\n",
                  processors, kThreads);
    }
  }
  std::printf("%.2f million exits/s, %.0f %% of %.0f million; lost: %llu, %.4f %%\n", rate * 1e-6,
              100 * share, static_cast<double>(kExitsPerSecond) * 1e-6,
              static_cast<unsigned long long>(test.totals.lost),
              100 * static_cast<double>(test.totals.lost) / static_cast<double>(sum));
  const auto capture = static_cast<double>(capture_ns);
  std::printf(
      "an exit takes %.0f ns of its thread's time, one that is written %.0f ns of the drain's: "
      "%.2f processors, and %.2f s that the host took\n",
      capture / static_cast<double>(sum), (cpu - capture) / static_cast<double>(test.totals.exits),
      cpu * 1e-9 / load_seconds(), stolen_seconds() - stolen_before);
  std::printf("%llu exits produced in %d s, %llu lost, resident %llu then %llu bytes\n",
              static_cast<unsigned long long>(sum), load_seconds(),
              static_cast<unsigned long long>(test.totals.lost),
              static_cast<unsigned long long>(resident_early),
              static_cast<unsigned long long>(resident_late));
}

}  // namespace
}  // namespace kvmtape::testing
