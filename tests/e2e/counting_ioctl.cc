// A library that somebody has preloaded already: counts KVM_RUN into the file that KVM_RUN_COUNT
// names, 8 bytes, and passes every ioctl on.
#include <fcntl.h>
#include <linux/kvm.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace {

uint64_t* g_count = nullptr;

__attribute__((constructor)) void begin() {
  const char* path = getenv("KVM_RUN_COUNT");
  const int file = path == nullptr ? -1 : open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (file < 0 || ftruncate(file, sizeof *g_count) != 0) return;
  void* page = mmap(nullptr, sizeof *g_count, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
  if (page != MAP_FAILED) g_count = static_cast<uint64_t*>(page);
  close(file);
}

}  // namespace

extern "C" int ioctl(int fd, unsigned long request, ...) noexcept {
  va_list list;
  va_start(list, request);
  void* argument = va_arg(list, void*);
  va_end(list);
  if (g_count != nullptr && static_cast<uint32_t>(request) == KVM_RUN) ++*g_count;
  return static_cast<int>(syscall(SYS_ioctl, fd, request, argument));
}
