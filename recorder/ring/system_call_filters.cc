#include "recorder/ring/system_call_filters.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

namespace kvmtape {

uint32_t system_call_filters(const char* status_file) noexcept {
  const int status = ::open(status_file, O_RDONLY | O_CLOEXEC);
  if (status < 0) return 0;
  char text[8192];
  size_t bytes = 0;
  for (ssize_t got; bytes < sizeof text - 1 &&
                    (got = ::read(status, text + bytes, sizeof text - 1 - bytes)) > 0;)
    bytes += static_cast<size_t>(got);
  ::close(status);
  text[bytes] = '\0';
  // fs/proc/array.c, task_seccomp(): the mode since 3.8, the number since 5.9.
  unsigned mode = 0, count = 0;
  const char* const line = ::strstr(text, "\nSeccomp:");
  if (line == nullptr || ::sscanf(line, "\nSeccomp: %u", &mode) != 1 || mode == 0) return 0;
  const char* const number = ::strstr(line, "\nSeccomp_filters:");
  const bool is_told = number != nullptr && ::sscanf(number, "\nSeccomp_filters: %u", &count) == 1;
  return is_told && count != 0 ? count : 1;
}

}  // namespace kvmtape
