#include "recorder/preload/shared_session.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "recorder/preload/interpose.h"
#include "recorder/ring/clock.h"
#include "recorder/ring/control_call.h"

namespace kvmtape::preload {
namespace {

// A writer holds the lock for a microsecond; one that was stopped while holding it is not waited
// for longer than some of these.
constexpr int kLockTries = 20'000;

char g_directory[PATH_MAX];
RecordControl* g_control = nullptr;
RingHeader* g_session_ring = nullptr;

// The file in the session's directory, if it has at least `bytes_min` bytes.
void* map_file(const char* name, size_t bytes_min) noexcept {
  char path[PATH_MAX];
  if (!path_in_session(name, path, sizeof path)) return nullptr;
  const int fd = ::open(path, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
  if (fd < 0) return nullptr;
  struct stat status {};
  void* memory = MAP_FAILED;
  if (::fstat(fd, &status) == 0 && S_ISREG(status.st_mode) &&
      static_cast<size_t>(status.st_size) >= bytes_min)
    memory = interpose::next::mmap(nullptr, static_cast<size_t>(status.st_size),
                                   PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, fd, 0);
  interpose::next::close(fd);
  return memory == MAP_FAILED ? nullptr : memory;
}

__attribute__((constructor(102))) void join_session() {
  const char* directory = ::getenv(kRecordDirectoryVariable);
  if (directory == nullptr || ::strlen(directory) >= sizeof g_directory) return;
  const int saved_errno = errno;
  ::strcpy(g_directory, directory);
  auto* control = static_cast<RecordControl*>(map_file(kRecordControlFile, sizeof(RecordControl)));
  auto* ring = static_cast<RingHeader*>(map_file("session.ring", kRingHeaderBytes));
  if (control != nullptr && ring != nullptr && control->magic == kRecordControlMagic &&
      control->version == kRecordControlVersion && control->bytes == sizeof(RecordControl) &&
      ring->magic == kRingMagic && ring->version == kRingVersion) {
    g_control = control;
    g_session_ring = ring;
    control->processes.fetch_add(1, std::memory_order_relaxed);  // relaxed: a count
  }
  errno = saved_errno;
}

bool lock_session_ring() noexcept {
  pthread_mutex_t* mutex = &g_control->session_ring_mutex;
  for (int tries = 0; tries < kLockTries; ++tries) {
    const int error = pthread_mutex_trylock(mutex);
    if (error == 0) return true;
    if (error == EOWNERDEAD) {
      // What a dead writer did not publish is not there; the ring needs no mending.
      pthread_mutex_consistent(mutex);
      return true;
    }
    if (error != EBUSY) return false;
  }
  return false;
}

}  // namespace

RecordControl* shared_control() noexcept { return g_control; }

bool path_in_session(const char* name, char* path, size_t bytes) noexcept {
  const int length = snprintf(path, bytes, "%s/%s", g_directory, name);
  return length > 0 && static_cast<size_t>(length) < bytes;
}

void put_control_call(const ControlCallRecord& call, const uint8_t* in, size_t in_bytes,
                      const uint8_t* out, size_t out_bytes) noexcept {
  if (!lock_session_ring()) {
    g_control->calls_lost.fetch_add(1, std::memory_order_relaxed);  // relaxed: a count
    return;
  }
  RingWriter writer;
  writer.resume(g_session_ring);
  write_control_call(writer, read_clock(), call, {in, in_bytes}, {out, out_bytes});
  pthread_mutex_unlock(&g_control->session_ring_mutex);
}

}  // namespace kvmtape::preload
