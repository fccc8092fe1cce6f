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
using StatText = char[1024];
const char* fields_in(const char* stat_path, StatText& text) {
  const int fd = ::open(stat_path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) return nullptr;
  const ssize_t got = ::read(fd, text, sizeof text - 1);
  ::close(fd);
  if (got <= 0) return nullptr;
  text[got] = '\0';
  return ::strrchr(text, ')');
}

bool has_ended(const char* fields) {
  return ::strncmp(fields, ") Z", 3) == 0 || ::strncmp(fields, ") X", 3) == 0;
}

uint64_t start_time_in(const char* stat_path) {
  StatText text;
  const char* at = fields_in(stat_path, text);
  // Who reads our files need not reap, and it writes no more.
  if (at != nullptr && has_ended(at)) return 0;
  for (int field = 2; at != nullptr && field < kStartTimeField; ++field) at = ::strchr(at + 1, ' ');
  return at == nullptr ? 0 : ::strtoull(at, nullptr, 10);
}

}  // namespace

uint64_t process_start_time(int pid) noexcept {
  char path[32];
  ::snprintf(path, sizeof path, "/proc/%d/stat", pid);
  return start_time_in(path);
}

bool is_zombie(int pid) noexcept {
  char path[32];
  ::snprintf(path, sizeof path, "/proc/%d/stat", pid);
  StatText text;
  const char* fields = fields_in(path, text);
  return fields != nullptr && has_ended(fields);
}

uint64_t own_start_time() noexcept { return start_time_in("/proc/self/stat"); }

}  // namespace kvmtape
