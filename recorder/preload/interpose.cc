#include "recorder/preload/interpose.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <linux/seccomp.h>
#include <stdarg.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <type_traits>
#include <utility>

#if defined(__x86_64__)
#include "recorder/preload/arch/x86_64/raw_syscall.h"
#elif defined(__aarch64__)
#include "recorder/preload/arch/aarch64/raw_syscall.h"
#endif

// What these functions are called and take is decided by libc.
namespace kvmtape::interpose {
namespace {

constexpr long kErrnoMax = 4095;  // include/linux/err.h, MAX_ERRNO

long as_libc(long answer) noexcept {
  if (answer >= 0 || answer < -kErrnoMax) return answer;
  errno = static_cast<int>(-answer);
  return -1;
}

template <typename Value>
long as_long(Value value) noexcept {
  if constexpr (std::is_pointer_v<Value>)
    return reinterpret_cast<long>(value);
  else
    return static_cast<long>(value);
}

// Each begins as the bare system call, for callers that come before our constructor, and becomes
// libc's function (or that of a library preloaded behind us) there.
template <long kNumber, typename Answer, typename... Arguments>
Answer bare(Arguments... arguments) noexcept {
  const long answer = as_libc(raw_syscall(kNumber, as_long(arguments)...));
  if constexpr (std::is_pointer_v<Answer>)
    return reinterpret_cast<Answer>(answer);
  else
    return static_cast<Answer>(answer);
}
long bare_syscall(long number, long a, long b, long c, long d, long e, long f) noexcept {
  return as_libc(raw_syscall(number, a, b, c, d, e, f));
}

// On these architectures a variadic callee finds its arguments where a fixed one would.
int (*next_ioctl)(int, unsigned long, void*) = bare<SYS_ioctl, int>;
void* (*next_mmap)(void*, size_t, int, int, int, off_t) = bare<SYS_mmap, void*>;
int (*next_munmap)(void*, size_t) = bare<SYS_munmap, int>;
void* (*next_mremap)(void*, size_t, size_t, int, void*) = bare<SYS_mremap, void*>;
int (*next_close)(int) = bare<SYS_close, int>;
int (*next_close_range)(unsigned, unsigned, int) = bare<SYS_close_range, int>;
int (*next_dup)(int) = bare<SYS_dup, int>;
int (*next_dup3)(int, int, int) = bare<SYS_dup3, int>;
int (*next_dup2)(int, int) = nullptr;  // arm64 has no such system call
int (*next_fcntl)(int, int, long) = bare<SYS_fcntl, int>;
int (*next_prctl)(int, unsigned long, unsigned long, unsigned long,
                  unsigned long) = bare<SYS_prctl, int>;
void (*next_closefrom)(int) = nullptr;
long (*next_syscall)(long, long, long, long, long, long, long) = bare_syscall;

template <typename Function>
void find_next(Function& next, const char* name) noexcept {
  if (void* found = ::dlsym(RTLD_NEXT, name); found != nullptr)
    next = reinterpret_cast<Function>(found);
}

// Somebody else's ioctl, preloaded behind us; what that asks of syscall() is its own way to the
// kernel, and not to be recorded again. (Nor is what a signal handler asks by number meanwhile.)
decltype(next_ioctl) foreign_ioctl = nullptr;
__attribute__((tls_model("initial-exec"))) thread_local bool in_foreign_ioctl = false;

int through_foreign_ioctl(int fd, unsigned long request, void* argument) noexcept {
  const bool was_in = std::exchange(in_foreign_ioctl, true);
  const int answer = foreign_ioctl(fd, request, argument);
  in_foreign_ioctl = was_in;
  return answer;
}

// glibc's is the bare system call where long has 64 bits (sysdeps/unix/sysv/linux/ioctl.c, 2.36),
// in pages that are cold when a vCPU comes back: finding them took 1 % of a nested machine's exit.
void find_next_ioctl() noexcept {
  void* const found = ::dlsym(RTLD_NEXT, "ioctl");
  void* const libc = ::dlsym(RTLD_NEXT, "gnu_get_libc_version");
  Dl_info of_found{}, of_libc{};
  if (found == nullptr ||
      (libc != nullptr && ::dladdr(found, &of_found) != 0 && ::dladdr(libc, &of_libc) != 0 &&
       of_found.dli_fbase == of_libc.dli_fbase))
    return;
  foreign_ioctl = reinterpret_cast<decltype(next_ioctl)>(found);
  next_ioctl = through_foreign_ioctl;
}

// Before the constructors of the library that links this.
__attribute__((constructor(101))) void find_all() {
  const int saved_errno = errno;
  find_next_ioctl();
  find_next(next_mmap, "mmap");
  find_next(next_munmap, "munmap");
  find_next(next_mremap, "mremap");
  find_next(next_close, "close");
  find_next(next_close_range, "close_range");
  find_next(next_closefrom, "closefrom");
  find_next(next_dup, "dup");
  find_next(next_dup2, "dup2");
  find_next(next_dup3, "dup3");
  find_next(next_fcntl, "fcntl64");
  find_next(next_prctl, "prctl");
  find_next(next_syscall, "syscall");
  errno = saved_errno;
}

void* mapped(void* address, size_t bytes, int protection, int flags, int fd, off_t offset) {
  if ((flags & MAP_FIXED) != 0) on_unmapping(address, bytes);
  void* at = next_mmap(address, bytes, protection, flags, fd, offset);
  if (at != MAP_FAILED && fd >= 0 && (flags & MAP_ANONYMOUS) == 0 && (flags & MAP_SHARED) != 0)
    on_mapped(at, bytes, fd, offset);
  return at;
}

void about_to_move(void* old_address, size_t old_bytes, int flags, void* address, size_t bytes) {
  on_unmapping(old_address, old_bytes);
  if ((flags & MREMAP_FIXED) != 0) on_unmapping(address, bytes);
}

int copied(int from, int to) {
  if (to >= 0 && to != from) on_copied(from, to);
  return to;
}

void about_to_copy_over(int from, int to) {
  if (to >= 0 && to != from) on_closing(static_cast<unsigned>(to), static_cast<unsigned>(to));
}

void about_to_close(unsigned first, unsigned last, int flags) {
  // With CLOSE_RANGE_CLOEXEC they stay open here.
  if ((flags & CLOSE_RANGE_CLOEXEC) == 0 && first <= last) on_closing(first, last);
}

bool copies(int command) { return command == F_DUPFD || command == F_DUPFD_CLOEXEC; }

void about_to_filter(unsigned long mode, unsigned long filter) {
  const auto* program = reinterpret_cast<const sock_fprog*>(filter);
  if (mode == SECCOMP_MODE_STRICT) on_filter(nullptr);
  // Without a program it is QEMU asking whether the kernel knows a flag: answered EFAULT.
  if (mode == SECCOMP_MODE_FILTER && program != nullptr) on_filter(program);
}

int dup2_by_any_name(int from, int to) {
  if (next_dup2 != nullptr) return next_dup2(from, to);
  if (from == to) return next_fcntl(from, F_GETFD, 0) < 0 ? -1 : to;
  return next_dup3(from, to, 0);
}

void* pointer(long value) { return reinterpret_cast<void*>(value); }
size_t size(long value) { return static_cast<size_t>(value); }
int number(long value) { return static_cast<int>(value); }

}  // namespace

namespace next {
int ioctl(int fd, unsigned long request, void* argument) noexcept {
  return next_ioctl(fd, request, argument);
}
void* mmap(void* address, size_t bytes, int protection, int flags, int fd, off_t offset) noexcept {
  return next_mmap(address, bytes, protection, flags, fd, offset);
}
int munmap(void* address, size_t bytes) noexcept { return next_munmap(address, bytes); }
int close(int fd) { return next_close(fd); }
}  // namespace next

}  // namespace kvmtape::interpose

using namespace kvmtape::interpose;  // NOLINT: these functions have to stand outside

#define KVMTAPE_INTERPOSED extern "C" __attribute__((visibility("default")))

KVMTAPE_INTERPOSED int ioctl(int fd, unsigned long request, ...) noexcept {
  va_list list;
  va_start(list, request);
  void* argument = va_arg(list, void*);
  va_end(list);
  return on_ioctl(fd, request, argument);
}

KVMTAPE_INTERPOSED void* mmap(void* address, size_t bytes, int protection, int flags, int fd,
                              off_t offset) noexcept {
  return mapped(address, bytes, protection, flags, fd, offset);
}
KVMTAPE_INTERPOSED void* mmap64(void* address, size_t bytes, int protection, int flags, int fd,
                                off64_t offset) noexcept {
  return mapped(address, bytes, protection, flags, fd, offset);
}

KVMTAPE_INTERPOSED int munmap(void* address, size_t bytes) noexcept {
  on_unmapping(address, bytes);
  return next_munmap(address, bytes);
}

KVMTAPE_INTERPOSED void* mremap(void* old_address, size_t old_bytes, size_t bytes, int flags,
                                ...) noexcept {
  va_list list;
  va_start(list, flags);
  void* address = va_arg(list, void*);
  va_end(list);
  about_to_move(old_address, old_bytes, flags, address, bytes);
  return next_mremap(old_address, old_bytes, bytes, flags, address);
}

KVMTAPE_INTERPOSED int close(int fd) {
  if (fd >= 0) about_to_close(static_cast<unsigned>(fd), static_cast<unsigned>(fd), 0);
  return next_close(fd);
}
KVMTAPE_INTERPOSED int close_range(unsigned first, unsigned last, int flags) noexcept {
  about_to_close(first, last, flags);
  return next_close_range(first, last, flags);
}
KVMTAPE_INTERPOSED void closefrom(int first) noexcept {
  const unsigned lowest = first < 0 ? 0 : static_cast<unsigned>(first);
  about_to_close(lowest, ~0u, 0);
  if (next_closefrom != nullptr)
    next_closefrom(first);
  else
    next_close_range(lowest, ~0u, 0);
}

KVMTAPE_INTERPOSED int dup(int from) noexcept { return copied(from, next_dup(from)); }
KVMTAPE_INTERPOSED int dup2(int from, int to) noexcept {
  about_to_copy_over(from, to);
  return copied(from, dup2_by_any_name(from, to));
}
KVMTAPE_INTERPOSED int dup3(int from, int to, int flags) noexcept {
  about_to_copy_over(from, to);
  return copied(from, next_dup3(from, to, flags));
}

KVMTAPE_INTERPOSED int fcntl(int fd, int command, ...) {
  va_list list;
  va_start(list, command);
  const long argument = va_arg(list, long);
  va_end(list);
  const int answer = next_fcntl(fd, command, argument);
  return copies(command) ? copied(fd, answer) : answer;
}
KVMTAPE_INTERPOSED int fcntl64(int fd, int command, ...) {
  va_list list;
  va_start(list, command);
  const long argument = va_arg(list, long);
  va_end(list);
  const int answer = next_fcntl(fd, command, argument);
  return copies(command) ? copied(fd, answer) : answer;
}

KVMTAPE_INTERPOSED int prctl(int option, ...) noexcept {
  va_list list;
  va_start(list, option);
  const auto a = va_arg(list, unsigned long);
  const auto b = va_arg(list, unsigned long);
  const auto c = va_arg(list, unsigned long);
  const auto d = va_arg(list, unsigned long);
  va_end(list);
  if (option == PR_SET_SECCOMP) about_to_filter(a, b);
  return next_prctl(option, a, b, c, d);
}

// The same by number: monitors in Rust and old C reach some of these so.
KVMTAPE_INTERPOSED long syscall(long call, ...) noexcept {
  va_list list;
  va_start(list, call);
  const long a = va_arg(list, long), b = va_arg(list, long), c = va_arg(list, long),
             d = va_arg(list, long), e = va_arg(list, long), f = va_arg(list, long);
  va_end(list);
  switch (call) {
    case SYS_ioctl:
      if (in_foreign_ioctl) break;
      return on_ioctl(number(a), static_cast<unsigned long>(b), pointer(c));
    case SYS_mmap:
      return reinterpret_cast<long>(
          mapped(pointer(a), size(b), number(c), number(d), number(e), f));
    case SYS_munmap:
      on_unmapping(pointer(a), size(b));
      break;
    case SYS_mremap:
      about_to_move(pointer(a), size(b), number(d), pointer(e), size(c));
      break;
    case SYS_close:
      if (a >= 0) about_to_close(static_cast<unsigned>(a), static_cast<unsigned>(a), 0);
      break;
    case SYS_close_range:
      about_to_close(static_cast<unsigned>(a), static_cast<unsigned>(b), number(c));
      break;
    case SYS_dup:
      return copied(number(a), number(next_syscall(call, a, b, c, d, e, f)));
#ifdef SYS_dup2
    case SYS_dup2:
#endif
    case SYS_dup3:
      about_to_copy_over(number(a), number(b));
      return copied(number(a), number(next_syscall(call, a, b, c, d, e, f)));
    case SYS_fcntl:
      if (!copies(number(b))) break;
      return copied(number(a), number(next_syscall(call, a, b, c, d, e, f)));
    case SYS_prctl:
      if (a == PR_SET_SECCOMP)
        about_to_filter(static_cast<unsigned long>(b), static_cast<unsigned long>(c));
      break;
    case SYS_seccomp:
      // With anything behind it, strict mode is a question too (libseccomp's): answered EINVAL.
      if (a == SECCOMP_SET_MODE_STRICT && b == 0 && c == 0) about_to_filter(SECCOMP_MODE_STRICT, 0);
      if (a == SECCOMP_SET_MODE_FILTER)
        about_to_filter(SECCOMP_MODE_FILTER, static_cast<unsigned long>(c));
      break;
    default:
      break;
  }
  return next_syscall(call, a, b, c, d, e, f);
}
