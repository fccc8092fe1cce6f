// Real vCPUs, as many as there are processors, that do nothing but exit, under `kvmtape record`:
// what was recorded and what was lost are together what KVM_RUN gave back, and the recorder does
// not grow. Five seconds; ten minutes in ./dev soak, in which rings of 16 MiB lose nothing. Needs
// KVM.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <string>
#include <thread>
#include <vector>

#include "schema/base/unique_fd.h"
#include "tests/e2e/counting_monitor.h"
#include "tests/support/full_load.h"
#include "tests/support/sanitizers.h"
#include "tests/support/scratch.h"

namespace kvmtape::testing {
namespace {

constexpr uint64_t kRingBytes = 16u << 20;
constexpr uint64_t kStreamBytesMax = 32u << 20;  // one vCPU's encoder and its share of the process

TEST(VcpuSoak, WhatIsRecordedAndWhatIsLostIsTogetherWhatKvmGave) {
  if (!UniqueFd(::open("/dev/kvm", O_RDWR | O_CLOEXEC)).valid())
    GTEST_SKIP() << "/dev/kvm cannot be opened";
  const ScratchDirectory scratch;
  const std::string shared = scratch.file("progress"), said = scratch.file("said");
  const UniqueFd file(::open(shared.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
  ASSERT_EQ(::ftruncate(file.get(), sizeof(MonitorProgress)), 0);
  void* page =
      ::mmap(nullptr, sizeof(MonitorProgress), PROT_READ | PROT_WRITE, MAP_SHARED, file.get(), 0);
  ASSERT_NE(page, MAP_FAILED);
  auto& progress = *static_cast<MonitorProgress*>(page);
  const uint32_t vcpus = std::clamp(std::thread::hardware_concurrency(), 2u, kCountingVcpusMax);
  const pid_t recorder = ::fork();
  ASSERT_GE(recorder, 0);
  if (recorder == 0) {
    const UniqueFd err(::open(said.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
    ::dup2(err.get(), STDERR_FILENO);
    // Bounded, so that ten minutes fit on the disk.
    ::execl(KVMTAPE_BINARY_DIR "/kvmtape", "kvmtape", "record", "--ring", "16M", "--max-size",
            "256M", "--max-files", "2", "-o", scratch.file("t.kvmtape").c_str(), "--",
            KVMTAPE_COUNTING_MONITOR, shared.c_str(), std::to_string(vcpus).c_str(), nullptr);
    ::_exit(127);
  }
  constexpr uint64_t kWarm = 1000;
  const auto have_begun = [&] {
    return std::all_of(progress.published, progress.published + vcpus,
                       [](const auto& exits) { return exits > kWarm; });
  };
  for (int ms = 0; ms < 60'000 && !have_begun(); ++ms) ::usleep(1000);
  if (!have_begun()) {
    progress.please_end.store(1);
    FAIL() << "a vCPU has not had " << kWarm << " exits in a minute";
  }
  const auto half = std::chrono::milliseconds(500 * load_seconds());
  std::this_thread::sleep_for(half);
  const uint64_t resident_early = resident_bytes(std::to_string(recorder));
  std::this_thread::sleep_for(half);
  const uint64_t resident_late = resident_bytes(std::to_string(recorder));
  progress.please_end.store(1);
  int status = 0;
  ASSERT_EQ(::waitpid(recorder, &status, 0), recorder);
  const std::vector<uint8_t> bytes = file_bytes(said);
  const std::string text(bytes.begin(), bytes.end());
  ASSERT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0) << text;
  uint64_t produced = 0;
  for (const auto& exits : progress.published) produced += exits;
  ::munmap(page, sizeof(MonitorProgress));

  const size_t totals = text.find(".kvmtape: ");
  ASSERT_NE(totals, std::string::npos) << text;
  unsigned long long recorded = 0, recorded_vcpus = 0, lost = 0;
  ASSERT_EQ(std::sscanf(text.c_str() + totals, ".kvmtape: %llu exits, %llu vCPUs, %llu lost",
                        &recorded, &recorded_vcpus, &lost),
            3)
      << text;
  EXPECT_EQ(recorded_vcpus, vcpus);
  EXPECT_EQ(recorded + lost, produced);
  EXPECT_GT(recorded, 0u);
  if constexpr (!kSanitized) {  // a sanitizer keeps notes of its own
    EXPECT_LT(resident_late, vcpus * (kRingBytes + kStreamBytesMax));
    if (load_seconds() >= kSecondsToSettle) {
      // Of a quiet hour: who takes both processors for seconds makes it lose some.
      EXPECT_EQ(lost, 0u);
      EXPECT_LT(resident_late, resident_early + kGrowthMax);
    }
  }
  std::printf(
      "%u vCPUs: %llu exits in %d s, %llu exits/s; lost: %llu; resident %llu then %llu bytes\n",
      vcpus, static_cast<unsigned long long>(produced), load_seconds(),
      static_cast<unsigned long long>(produced) / static_cast<unsigned>(load_seconds()), lost,
      static_cast<unsigned long long>(resident_early),
      static_cast<unsigned long long>(resident_late));
}

}  // namespace
}  // namespace kvmtape::testing
