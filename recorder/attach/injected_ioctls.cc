#include "recorder/attach/injected_ioctls.h"

#include <errno.h>
#include <linux/ioctl.h>
#include <signal.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/user.h>
#include <sys/wait.h>

#include <array>
#include <cstdint>
#include <string>

#include "recorder/ring/system_call_filters.h"

namespace kvmtape {

#if defined(__x86_64__)
namespace {

constexpr size_t kBytesMax = 1024;      // of a structure
constexpr uint64_t kBelowStack = 512;   // more than the 128 that leaf functions use
constexpr uint64_t kUserCode64 = 0x33;  // cs: arch/x86/include/asm/segment.h, __USER_CS
constexpr uint16_t kSyscall = 0x050f;   // little-endian
constexpr long kSyscallBytes = 2;

bool copy_from(pid_t thread, uint64_t address, void* to, size_t bytes) {
  const iovec here{to, bytes}, there{reinterpret_cast<void*>(address), bytes};
  return ::process_vm_readv(thread, &here, 1, &there, 1, 0) == static_cast<ssize_t>(bytes);
}
bool copy_to(pid_t thread, uint64_t address, void* from, size_t bytes) {
  const iovec here{from, bytes}, there{reinterpret_cast<void*>(address), bytes};
  return ::process_vm_writev(thread, &here, 1, &there, 1, 0) == static_cast<ssize_t>(bytes);
}

// A stopped thread as it was, which it is again afterwards.
class Kept {
 public:
  Kept(pid_t thread, size_t bytes) : thread_(thread), bytes_(bytes) {
    uint16_t instruction = 0;
    ok_ = bytes <= kBytesMax && ::ptrace(PTRACE_GETREGS, thread, nullptr, &registers_) == 0 &&
          registers_.cs == kUserCode64 &&
          copy_from(thread, registers_.rip - kSyscallBytes, &instruction, sizeof instruction) &&
          instruction == kSyscall && copy_from(thread, place(), stack_.data(), bytes) &&
          ::ptrace(PTRACE_GETSIGMASK, thread, sizeof mask_, &mask_) == 0;
  }
  Kept(const Kept&) = delete;
  ~Kept() {
    if (!ok_) return;
    copy_to(thread_, place(), stack_.data(), bytes_);
    ::ptrace(PTRACE_SETREGS, thread_, nullptr, &registers_);
    ::ptrace(PTRACE_SETSIGMASK, thread_, sizeof mask_, &mask_);
  }

  bool ok() const { return ok_; }
  const user_regs_struct& registers() const { return registers_; }
  uint64_t place() const { return (registers_.rsp - kBelowStack - bytes_) & ~uint64_t{15}; }

 private:
  const pid_t thread_;
  const size_t bytes_;
  bool ok_ = false;
  user_regs_struct registers_{};
  uint64_t mask_ = 0;
  std::array<uint8_t, kBytesMax> stack_{};
};

}  // namespace

bool InjectedIoctls::may_be_made_by(pid_t thread) {
  return system_call_filters(("/proc/" + std::to_string(thread) + "/status").c_str()) == 0;
}

bool InjectedIoctls::reaches_system_call() noexcept {
  if (::ptrace(PTRACE_SYSCALL, thread_, nullptr, nullptr) != 0) return false;
  int status = 0;
  while (::waitpid(thread_, &status, __WALL) < 0)
    if (errno != EINTR) return false;
  if (WIFSTOPPED(status) && WSTOPSIG(status) == (SIGTRAP | 0x80)) return true;
  other_stop_ = status;
  return false;
}

int InjectedIoctls::call(unsigned long request, void* argument) noexcept {
  const size_t bytes = _IOC_SIZE(request);
  errno = EINTR;
  if (other_stop_) return -1;
  const Kept kept(thread_, bytes);
  errno = EFAULT;
  if (!kept.ok() || !copy_to(thread_, kept.place(), argument, bytes)) return -1;
  uint64_t all = ~uint64_t{0};  // no handler may run on these registers
  user_regs_struct registers = kept.registers();
  registers.rip -= kSyscallBytes;
  registers.orig_rax = ~0ull;  // no restart of the call before
  registers.rax = SYS_ioctl;
  registers.rdi = static_cast<uint32_t>(fd_);
  registers.rsi = request;
  registers.rdx = kept.place();
  const bool is_made = ::ptrace(PTRACE_SETSIGMASK, thread_, sizeof all, &all) == 0 &&
                       ::ptrace(PTRACE_SETREGS, thread_, nullptr, &registers) == 0 &&
                       reaches_system_call() && reaches_system_call() &&
                       ::ptrace(PTRACE_GETREGS, thread_, nullptr, &registers) == 0;
  const auto result = static_cast<int64_t>(registers.rax);
  const bool is_read = is_made && copy_from(thread_, kept.place(), argument, bytes);
  errno = !is_made ? EINTR : result < 0 ? static_cast<int>(-result) : EFAULT;
  return is_read && result == 0 ? 0 : -1;
}
#else
bool InjectedIoctls::may_be_made_by(pid_t) { return false; }
bool InjectedIoctls::reaches_system_call() noexcept { return false; }
int InjectedIoctls::call(unsigned long, void*) noexcept { return errno = ENOSYS, -1; }
#endif

}  // namespace kvmtape
