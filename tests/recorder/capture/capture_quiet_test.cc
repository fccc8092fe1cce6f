// The two hot calls allocate nothing and enter the kernel never. A binary of its own, because it
// counts every operator new of the process.
#include <errno.h>
#include <gtest/gtest.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>
#include <cstdlib>
#include <new>

#include "recorder/capture/vcpu_capture.h"
#include "tests/support/fake_vcpu.h"
#include "tests/support/memory_ring.h"
#include "tests/support/sanitizers.h"

namespace {
std::atomic<uint64_t> allocations{0};
}

// noinline: else g++ sees malloc() and free() behind a new and a delete that it thinks differ.
#define KVMTAPE_OWN_NEW __attribute__((noinline))
KVMTAPE_OWN_NEW void* operator new(size_t bytes) {
  ++allocations;
  if (void* memory = std::malloc(bytes)) return memory;
  throw std::bad_alloc();
}
KVMTAPE_OWN_NEW void* operator new[](size_t bytes) { return operator new(bytes); }
KVMTAPE_OWN_NEW void operator delete(void* memory) noexcept { std::free(memory); }
KVMTAPE_OWN_NEW void operator delete[](void* memory) noexcept { std::free(memory); }
KVMTAPE_OWN_NEW void operator delete(void* memory, size_t) noexcept { std::free(memory); }
KVMTAPE_OWN_NEW void operator delete[](void* memory, size_t) noexcept { std::free(memory); }

namespace kvmtape::testing {
namespace {

// Every path of the two calls: port I/O, MMIO, failures, registers not taken, the sync area, a ring
// that fills up, and no ring at all.
void capture_ten_thousand(RingHeader* ring, FakeVcpu& vcpu) {
  VcpuCapture capture(ring, vcpu.mapping(), vcpu.mapping_bytes(), FakeVcpu::kVcpuFd,
                      {.registers = RegisterPolicy::kEvery, .registers_every = 100});
  for (uint32_t i = 0; i < 10'000; ++i) {
    if (i % 3 == 0)
      vcpu.set_io(true, 1, 0x3f8, 1 + i % 50);
    else
      vcpu.set_numbered(i);
    vcpu.run().kvm_valid_regs = i % 64 == 0 ? 1 : 0;
    const int ret = i % 10 == 0 ? -1 : 0;
    capture.exit(ret, ret < 0 ? EINTR : 0);
    vcpu.port_data()[0] ^= 1;
    capture.enter();
  }
  capture.finish();
}

TEST(CaptureQuiet, AllocatesNothing) {
  MemoryRing<uint64_t> dropping(8, false), overwriting(8, true);
  FakeVcpu vcpu;
  const uint64_t before = allocations;
  capture_ten_thousand(dropping.header(), vcpu);
  capture_ten_thousand(overwriting.header(), vcpu);
  capture_ten_thousand(nullptr, vcpu);
  EXPECT_EQ(allocations, before);
  EXPECT_GT(dropping.header()->lost_total, 0u);
  EXPECT_EQ(overwriting.header()->next_seq, 10'000u);
}

// A sanitizer's runtime makes system calls of its own.
#if !defined(KVMTAPE_THREAD_SANITIZER) && !defined(KVMTAPE_ADDRESS_SANITIZER)
// Kills the process at any system call but the one that ends it.
void forbid_system_calls() {
  sock_filter program[] = {
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_exit_group, 0, 1),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
  };
  const sock_fprog filter{sizeof program / sizeof program[0], program};
  if (::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 ||
      ::prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter) != 0)
    ::_exit(2);
}

TEST(CaptureQuiet, MakesNoSystemCall) {
  MemoryRing<uint64_t> ring(8, false);
  FakeVcpu vcpu;
  EXPECT_EXIT(
      {
        forbid_system_calls();
        capture_ten_thousand(ring.header(), vcpu);
        capture_ten_thousand(nullptr, vcpu);
        ::_exit(0);
      },
      ::testing::ExitedWithCode(0), "");
  EXPECT_EXIT(
      {
        forbid_system_calls();
        ::getppid();
        ::_exit(0);
      },
      ::testing::KilledBySignal(SIGSYS), "")
      << "the filter itself must bite";
}
#endif

}  // namespace
}  // namespace kvmtape::testing
