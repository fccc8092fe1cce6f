// A monitor that runs until it is killed, for tests that kill it, or asked to end: two vCPUs write
// their exits' numbers to a port, and what each has got back from KVM_RUN stands in a shared file,
// so that a test knows what a recorder must have. It knows nothing of kvmtape.
// counting_monitor FILE [VCPUS]
#include "tests/e2e/counting_monitor.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/kvm.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <new>
#include <thread>
#include <vector>

namespace {

using kvmtape::testing::kCountingVcpus;
using kvmtape::testing::kCountingVcpusMax;
using kvmtape::testing::MonitorProgress;

constexpr uint64_t kCodeAddress = 0x1000;
constexpr size_t kMemoryBytes = 0x10000;

// Real mode, from eax = 0 on: out 0x10, eax; inc eax; and again.
constexpr uint8_t kCode[] = {0x66, 0xe7, 0x10, 0x66, 0x40, 0xeb, 0xf9};

[[noreturn]] void fail(const char* what) {
  perror(what);
  _exit(1);
}

void run_vcpu(int vm, int id, size_t run_bytes, MonitorProgress& progress) {
  const int fd = ioctl(vm, KVM_CREATE_VCPU, id);
  if (fd < 0) fail("KVM_CREATE_VCPU");
  auto* run =
      static_cast<kvm_run*>(mmap(nullptr, run_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0));
  if (run == MAP_FAILED) fail("mmap");
  kvm_sregs sregs{};
  ioctl(fd, KVM_GET_SREGS, &sregs);
  sregs.cs.base = 0;
  sregs.cs.selector = 0;
  ioctl(fd, KVM_SET_SREGS, &sregs);
  kvm_regs regs{};
  regs.rip = kCodeAddress;
  regs.rflags = 2;
  ioctl(fd, KVM_SET_REGS, &regs);
  // relaxed: no data with it
  for (uint64_t seq = 0; progress.please_end.load(std::memory_order_relaxed) == 0; ++seq) {
    if (ioctl(fd, KVM_RUN, 0) < 0) fail("KVM_RUN");
    // release: whoever reads this number finds the exit
    progress.published[id].store(seq + 1, std::memory_order_release);
  }
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2 && argc != 3) return 2;
  const uint32_t vcpus = argc == 3 ? static_cast<uint32_t>(atoi(argv[2])) : kCountingVcpus;
  if (vcpus == 0 || vcpus > kCountingVcpusMax) return 2;
  const int file = open(argv[1], O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (file < 0 || ftruncate(file, sizeof(MonitorProgress)) != 0) fail(argv[1]);
  auto& progress = *static_cast<MonitorProgress*>(
      mmap(nullptr, sizeof(MonitorProgress), PROT_READ | PROT_WRITE, MAP_SHARED, file, 0));
  const int kvm = open("/dev/kvm", O_RDWR | O_CLOEXEC);
  if (kvm < 0) fail("/dev/kvm");
  const int vm = ioctl(kvm, KVM_CREATE_VM, 0);
  if (vm < 0) fail("KVM_CREATE_VM");
  void* memory =
      mmap(nullptr, kMemoryBytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  memcpy(static_cast<uint8_t*>(memory) + kCodeAddress, kCode, sizeof kCode);
  kvm_userspace_memory_region region{};
  region.memory_size = kMemoryBytes;
  region.userspace_addr = reinterpret_cast<uint64_t>(memory);
  if (ioctl(vm, KVM_SET_USER_MEMORY_REGION, &region) != 0) fail("memory");
  const auto run_bytes = static_cast<size_t>(ioctl(kvm, KVM_GET_VCPU_MMAP_SIZE, 0));
  progress.pid.store(getpid());
  std::vector<std::thread> threads;
  for (uint32_t id = 0; id < vcpus; ++id)
    threads.emplace_back(run_vcpu, vm, id, run_bytes, std::ref(progress));
  for (std::thread& thread : threads) thread.join();
}
