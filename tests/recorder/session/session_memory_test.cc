// Memory that runs out in the drain's thread ends the recording, not the monitor. A binary of its
// own, because it replaces operator new.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <new>
#include <thread>

#include "tests/support/test_session.h"

namespace {
std::atomic<bool> exhausted{false};
std::atomic<bool> refused{false};
thread_local bool is_monitor = false;
}  // namespace

// noinline: else g++ sees malloc() and free() behind a new and a delete that it thinks differ.
#define KVMTAPE_OWN_NEW __attribute__((noinline))
KVMTAPE_OWN_NEW void* operator new(size_t bytes) {
  void* memory = exhausted && !is_monitor ? nullptr : std::malloc(bytes);
  if (memory != nullptr) return memory;
  refused = true;
  throw std::bad_alloc();
}
KVMTAPE_OWN_NEW void* operator new[](size_t bytes) { return operator new(bytes); }
KVMTAPE_OWN_NEW void operator delete(void* memory) noexcept { std::free(memory); }
KVMTAPE_OWN_NEW void operator delete[](void* memory) noexcept { std::free(memory); }
KVMTAPE_OWN_NEW void operator delete(void* memory, size_t) noexcept { std::free(memory); }
KVMTAPE_OWN_NEW void operator delete[](void* memory, size_t) noexcept { std::free(memory); }

namespace kvmtape::testing {
namespace {

TEST(SessionMemory, ExhaustedMemoryEndsTheRecordingAndNotTheMonitor) {
  is_monitor = true;
  TestSession test;
  test.options.ring_bytes = 64 * 1024;
  ASSERT_TRUE(test.open());
  FakeVcpu vcpu;
  kvmtape_vcpu* tape = test.attach(0, vcpu);
  TestSession::run_numbered(tape, vcpu, 0);
  ASSERT_EQ(kvmtape_snapshot(test.session, "", nullptr), 0);
  exhausted = true;
  for (uint64_t number = 1; !refused; ++number) {
    TestSession::run_numbered(tape, vcpu, number);
    if (number % 100 == 0) std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  std::this_thread::sleep_for(std::chrono::milliseconds(5));
  exhausted = false;
  for (uint64_t number = 0; number < 10'000; ++number)
    TestSession::run_numbered(tape, vcpu, number);
  EXPECT_EQ(kvmtape_snapshot(test.session, "", &test.error), -1);
  EXPECT_THAT(test.error.text, ::testing::HasSubstr("memory was exhausted"));
  EXPECT_EQ(test.close(), -1);
  EXPECT_GT(test.totals.lost, 0u);
  EXPECT_FALSE(std::filesystem::is_empty(test.ring_directory)) << "the rings hold the rest";
  auto trace = walk_trace(test.path);
  ASSERT_TRUE(trace.ok()) << trace.error().to_string();
  EXPECT_GE(trace->exits(), 1u);
}

}  // namespace
}  // namespace kvmtape::testing
