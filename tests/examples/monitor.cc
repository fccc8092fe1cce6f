// The monitor of monitor.c in C++: the session and the exit are objects, so that no return path can
// leave the recording unsealed or an exit without its answer.
//
//     find_package(kvmtape REQUIRED)
//     target_link_libraries(monitor PRIVATE kvmtape::kvmtape_embed)
#include <fcntl.h>
#include <kvmtape.h>
#include <linux/kvm.h>
#include <sys/ioctl.h>
#include <sys/mman.h>

#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <memory>

namespace {

constexpr uint8_t kGuest[] = {0xb0, '!', 0xe6, 0xe9, 0xf4};  // mov $'!', %al; out %al, $0xe9; hlt
constexpr uint64_t kGuestAddress = 0x1000;
constexpr size_t kMemoryBytes = 0x2000;

struct Sealing {
  void operator()(kvmtape_session* session) const { kvmtape_close(session, nullptr, nullptr); }
};
using Session = std::unique_ptr<kvmtape_session, Sealing>;

Session open_session(const char* path, int kvm_fd, int vm_fd) {
  kvmtape_options options;
  kvmtape_options_init(&options);
  options.path = path;
  options.kvm_fd = kvm_fd;
  options.vm_fd = vm_fd;
  kvmtape_error error;
  Session session(kvmtape_open(&options, &error));
  if (!session) std::fprintf(stderr, "not recording: %s\n", error.text);
  return session;
}

// KVM_RUN, recorded.
int run_vcpu(int vcpu_fd, kvmtape_vcpu* tape) {
  kvmtape_enter(tape);
  const int ret = ioctl(vcpu_fd, KVM_RUN, 0);
  kvmtape_exit(tape, ret, ret < 0 ? errno : 0);
  return ret;
}

bool start_guest(int vm_fd, int vcpu_fd) {
  auto* memory = static_cast<uint8_t*>(
      mmap(nullptr, kMemoryBytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
  std::memcpy(memory + kGuestAddress, kGuest, sizeof kGuest);
  kvm_userspace_memory_region region{};
  region.memory_size = kMemoryBytes;
  region.userspace_addr = reinterpret_cast<uintptr_t>(memory);
  kvm_sregs sregs{};
  kvm_regs regs{};
  regs.rip = kGuestAddress;
  regs.rflags = 2;
  if (ioctl(vm_fd, KVM_SET_USER_MEMORY_REGION, &region) < 0) return false;
  if (ioctl(vcpu_fd, KVM_GET_SREGS, &sregs) < 0) return false;
  sregs.cs.base = sregs.cs.selector = 0;
  return ioctl(vcpu_fd, KVM_SET_SREGS, &sregs) == 0 && ioctl(vcpu_fd, KVM_SET_REGS, &regs) == 0;
}

}  // namespace

int main(int argc, char** argv) {
  const int kvm_fd = open("/dev/kvm", O_RDWR | O_CLOEXEC);
  const int vm_fd = kvm_fd < 0 ? -1 : ioctl(kvm_fd, KVM_CREATE_VM, 0);
  if (vm_fd < 0) {
    std::printf("skipped: /dev/kvm: %s\n", std::strerror(errno));
    return 77;
  }
  const int vcpu_fd = ioctl(vm_fd, KVM_CREATE_VCPU, 0);
  const auto run_bytes = static_cast<size_t>(ioctl(kvm_fd, KVM_GET_VCPU_MMAP_SIZE, 0));
  void* mapped = mmap(nullptr, run_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, vcpu_fd, 0);
  if (mapped == MAP_FAILED || !start_guest(vm_fd, vcpu_fd)) return 1;
  const auto* run = static_cast<const kvm_run*>(mapped);

  const Session session = open_session(argc > 1 ? argv[1] : nullptr, kvm_fd, vm_fd);
  kvmtape_vcpu* tape = kvmtape_attach_vcpu(session.get(), 0, vcpu_fd, mapped, run_bytes, nullptr);
  while (run_vcpu(vcpu_fd, tape) == 0 && run->exit_reason == KVM_EXIT_IO)
    std::printf("guest says %c\n", *(static_cast<const char*>(mapped) + run->io.data_offset));
  return session && run->exit_reason == KVM_EXIT_HLT ? 0 : 1;
}
