#include "schema/process_start.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

namespace kvmtape {
namespace {

constexpr int kStartTimeField = 22;  // of /proc/PID/stat, see proc(5)

// Fields are counted behind the parenthesised name, which may hold anything.
uint64_t start_time_in(const char* stat_path) {
  char text[1024];
  const int fd = ::open(stat_path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) return 0;
  const ssize_t got = ::read(fd, text, sizeof text - 1);
  ::close(fd);
  if (got <= 0) return 0;
  text[got] = '\0';
  const char* at = ::strrchr(text, ')');
  // A zombie or a dead one: who reads our files need not reap, and it writes no more.
  if (at != nullptr && (::strncmp(at, ") Z", 3) == 0 || ::strncmp(at, ") X", 3) == 0)) return 0;
  for (int field = 2; at != nullptr && field < kStartTimeField; ++field) at = ::strchr(at + 1, ' ');
  return at == nullptr ? 0 : ::strtoull(at, nullptr, 10);
}

}  // namespace

uint64_t process_start_time(int pid) noexcept {
  char path[32];
  ::snprintf(path, sizeof path, "/proc/%d/stat", pid);
  return start_time_in(path);
}

uint64_t own_start_time() noexcept { return start_time_in("/proc/self/stat"); }

}  // namespace kvmtape
