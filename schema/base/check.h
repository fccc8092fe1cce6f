// KVMTAPE_CHECK: for bugs of ours, never for bytes read from a file or a ring.
// In tools and tests a failed check aborts with its text. Code that runs inside a monitor
// (recorder/capture, recorder/ring, recorder/preload) does not use it: there a bug stops the
// recording and leaves the guest alone.
#pragma once

#include <cstdio>
#include <cstdlib>

namespace kvmtape {

[[noreturn]] inline void check_failed(const char* expression, const char* file, int line) {
  std::fprintf(stderr, "kvmtape: bug: %s does not hold at %s:%d\n", expression, file, line);
  std::abort();
}

}  // namespace kvmtape

#define KVMTAPE_CHECK(expression)                                                \
  do {                                                                           \
    if (!(expression)) ::kvmtape::check_failed(#expression, __FILE__, __LINE__); \
  } while (false)
