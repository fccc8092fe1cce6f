#include "recorder/preload/vcpu.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <new>

#include "recorder/preload/interpose.h"
#include "recorder/preload/shared_session.h"
#include "recorder/ring/clock.h"
#include "recorder/ring/ring_memory.h"

namespace kvmtape::preload {
namespace {

namespace next = interpose::next;

// A signal handler that maps or unmaps while its thread is here gets an error and goes without.
pthread_mutex_t g_mutex = PTHREAD_ERRORCHECK_MUTEX_INITIALIZER_NP;

// Guarded by g_mutex.
Vcpu* g_vcpus = nullptr;
bool g_ioctls_forbidden = false;

// Where kvm_runs lie, for a quick look at every munmap of the monitor's; only grows.
std::atomic<uintptr_t> g_lowest{UINTPTR_MAX};
std::atomic<uintptr_t> g_highest{0};

class SetUpLock {
 public:
  SetUpLock() noexcept : held_(pthread_mutex_lock(&g_mutex) == 0) {}
  SetUpLock(const SetUpLock&) = delete;
  ~SetUpLock() {
    if (held_) pthread_mutex_unlock(&g_mutex);
  }
  bool held() const { return held_; }

 private:
  bool held_;
};

class KeepErrno {
 public:
  KeepErrno() noexcept : saved_(errno) {}
  KeepErrno(const KeepErrno&) = delete;
  ~KeepErrno() { errno = saved_; }

 private:
  int saved_;
};

void count_only(Vcpu& vcpu, RecordControl& control) noexcept {
  uint32_t slot = control.unrecorded_count.fetch_add(1, std::memory_order_relaxed);  // a count
  if (slot >= kUnrecordedVcpusMax) slot = kUnrecordedVcpusMax - 1;
  vcpu.counter = &control.unrecorded[slot];
  vcpu.counter->vcpu_id = vcpu.id;
  vcpu.state.store(Vcpu::State::kCounted, std::memory_order_release);  // pairs with on_ioctl
}

// The ring's memory within the cap over all; null header if there is none.
RingMemory take_ring(const Vcpu& vcpu, RecordControl& control) noexcept {
  RingSpec spec{control.session,
                control.next_index.fetch_add(1, std::memory_order_relaxed),  // a count
                vcpu.id,
                control.ring_bytes,
                control.overwrite != 0,
                control.flight != 0};
  char path[PATH_MAX];
  RingMemory memory;
  if (!ring_path(spec.vcpu_index, path, sizeof path)) return memory;
  if (!control.filter.has_vcpu(vcpu.id)) spec.ring_bytes = kRingBytesMin;  // stays empty
  for (;; spec.ring_bytes /= 2) {  // a flight recorder makes do with less
    const uint64_t bytes = ring_geometry(spec.ring_bytes).file_bytes();
    // relaxed: a sum that nothing else hangs on
    if (control.ring_bytes_used.fetch_add(bytes, std::memory_order_relaxed) + bytes <=
        control.ring_bytes_total)
      memory = make_ring_memory(path, spec, control.boot_id);
    if (memory.header != nullptr) {
      next::close(memory.fd);
      return memory;
    }
    control.ring_bytes_used.fetch_sub(bytes, std::memory_order_relaxed);  // relaxed: as above
    if (control.flight == 0 || spec.ring_bytes <= kRingBytesMin) return memory;
  }
}

void start(Vcpu& vcpu, int fd, void* address, size_t bytes) noexcept {
  RecordControl& control = *shared_control();
  vcpu.fd = fd;
  vcpu.run = address;
  vcpu.run_bytes = bytes;
  const auto begin = reinterpret_cast<uintptr_t>(address);
  // relaxed, four times: guarded by g_mutex; a reader that races unmaps what it just mapped
  if (begin < g_lowest.load(std::memory_order_relaxed))
    g_lowest.store(begin, std::memory_order_relaxed);             // relaxed: as above
  if (begin + bytes > g_highest.load(std::memory_order_relaxed))  // relaxed: as above
    g_highest.store(begin + bytes, std::memory_order_relaxed);    // relaxed: as above
  const RingMemory memory = take_ring(vcpu, control);
  if (memory.header == nullptr) return count_only(vcpu, control);
  vcpu.ring = memory.header;
  vcpu.ring_bytes = memory.bytes;
  CaptureOptions options{static_cast<RegisterPolicy>(control.registers), control.registers_every,
                         !g_ioctls_forbidden, control.filter};
  if (!control.filter.has_vcpu(vcpu.id)) options.filter.reasons = 0;
  new (vcpu.capture_bytes) VcpuCapture(memory.header, address, bytes, fd, options);
  vcpu.state.store(Vcpu::State::kRecorded, std::memory_order_release);  // pairs with on_ioctl
  // release: pairs with the acquire in `record`, which then opens the ring
  control.rings_made.fetch_add(1, std::memory_order_release);
}

// Holds a crashed vCPU a moment longer, so that `record` finds the guest's memory as it was, or at
// all: many a monitor ends itself next. By looking, since a filter may kill for a system call, and
// only for the first crashes.
void wait_for_crash_reader(RecordControl& control) noexcept {
  constexpr uint32_t kCrashesMax = 16;
  if (control.crash_wait_ticks == 0) return;
  // release: pairs with the acquire in `record`
  const uint32_t mine = control.crashes.fetch_add(1, std::memory_order_release) + 1;
  if (mine > kCrashesMax) return;
  const uint64_t begin = read_clock();
  // acquire: pairs with the release in `record`
  while (control.crashes_read.load(std::memory_order_acquire) < mine &&
         read_clock() - begin < control.crash_wait_ticks)
    pause_cpu();
}

bool owns(const void* address) noexcept {
  for (const Vcpu* vcpu = g_vcpus; vcpu != nullptr; vcpu = vcpu->next)
    if (vcpu->run == address) return true;
  return false;
}

}  // namespace

Vcpu* add_vcpu(uint32_t id, int fd) noexcept {
  const KeepErrno keep;
  const SetUpLock lock;
  if (!lock.held()) return nullptr;
  void* memory = next::mmap(nullptr, sizeof(Vcpu), PROT_READ | PROT_WRITE,
                            MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
  if (memory == MAP_FAILED) return nullptr;
  auto* vcpu = new (memory) Vcpu{};
  vcpu->id = id;
  vcpu->fd = fd;
  vcpu->next = g_vcpus;
  g_vcpus = vcpu;
  return vcpu;
}

Vcpu* find_vcpu(uint32_t id) noexcept {
  const SetUpLock lock;
  Vcpu* found = nullptr;
  if (!lock.held()) return nullptr;
  for (Vcpu* vcpu = g_vcpus; vcpu != nullptr; vcpu = vcpu->next) {
    if (vcpu->id != id || vcpu->run == nullptr) continue;
    if (found != nullptr) return nullptr;  // of several VMs: no telling which
    found = vcpu;
  }
  return found;
}

void vcpu_mapped(Vcpu& vcpu, int fd, void* run, size_t bytes) noexcept {
  const KeepErrno keep;
  const SetUpLock lock;
  // Mapped again elsewhere, the first mapping is as good.
  if (!lock.held() || vcpu.run != nullptr || bytes < kCoreWords * kWordBytes) return;
  start(vcpu, fd, run, bytes);
}

void find_mapping(Vcpu& vcpu, int fd) noexcept {
  const KeepErrno keep;
  const SetUpLock lock;
  if (!lock.held() || vcpu.run != nullptr) return;
  const int maps = ::open("/proc/self/maps", O_RDONLY | O_CLOEXEC);
  if (maps < 0) return;
  char wanted[32], text[4096];
  snprintf(wanted, sizeof wanted, vcpu.id == ~0u ? "kvm-vcpu" : "kvm-vcpu:%u", vcpu.id);
  size_t have = 0;
  bool found = false;
  for (ssize_t got; !found && (got = ::read(maps, text + have, sizeof text - 1 - have)) > 0;) {
    have += static_cast<size_t>(got);
    text[have] = '\0';
    char* line = text;
    for (char* end; !found && (end = ::strchr(line, '\n')) != nullptr; line = end + 1) {
      *end = '\0';
      unsigned long begin = 0, behind = 0, offset = 1;
      const char* name = ::strstr(line, "anon_inode:");
      if (name == nullptr || ::strcmp(name + 11, wanted) != 0 ||
          ::sscanf(line, "%lx-%lx %*s %lx", &begin, &behind, &offset) != 3 || offset != 0 ||
          owns(reinterpret_cast<void*>(begin)))
        continue;
      start(vcpu, fd, reinterpret_cast<void*>(begin), behind - begin);
      found = true;
    }
    have = ::strlen(line);
    ::memmove(text, line, have);
    if (have == sizeof text - 1) have = 0;  // no line is that long
  }
  next::close(maps);
}

void range_unmapped(void* address, size_t bytes) noexcept {
  const auto begin = reinterpret_cast<uintptr_t>(address);
  // relaxed: see start()
  if (begin >= g_highest.load(std::memory_order_relaxed) ||
      begin + bytes <= g_lowest.load(std::memory_order_relaxed))  // relaxed: as above
    return;
  const KeepErrno keep;
  const SetUpLock lock;
  if (!lock.held()) return;
  for (Vcpu* vcpu = g_vcpus; vcpu != nullptr; vcpu = vcpu->next) {
    const auto run = reinterpret_cast<uintptr_t>(vcpu->run);
    if (run == 0 || run >= begin + bytes || run + vcpu->run_bytes <= begin) continue;
    // No KVM_RUN of it can be under way: its thread would read kvm_run when it returns.
    const auto state = vcpu->state.exchange(Vcpu::State::kUnmapped,
                                            std::memory_order_acq_rel);  // pairs with on_ioctl
    if (state == Vcpu::State::kRecorded) {
      vcpu->capture().finish();
      next::munmap(vcpu->ring, vcpu->ring_bytes);
    }
    vcpu->ring = nullptr;
    vcpu->run = nullptr;
  }
}

void forbid_register_ioctls() noexcept {
  const SetUpLock lock;
  if (!lock.held()) return;
  g_ioctls_forbidden = true;
  for (Vcpu* vcpu = g_vcpus; vcpu != nullptr; vcpu = vcpu->next)
    if (vcpu->ring != nullptr) vcpu->capture().forbid_ioctls();
}

void forget_vcpus() noexcept {
  // The parent's other threads are not here to unlock it.
  g_mutex = PTHREAD_ERRORCHECK_MUTEX_INITIALIZER_NP;
  g_vcpus = nullptr;
}

int run(Vcpu& vcpu, Vcpu::State state, int fd, unsigned long request, void* argument) noexcept {
  if (state == Vcpu::State::kCounted) {
    vcpu.counter->lost.fetch_add(1, std::memory_order_relaxed);  // relaxed: a count
    return next::ioctl(fd, request, argument);
  }
  vcpu.capture().enter();
  const int answer = next::ioctl(fd, request, argument);
  const int error = errno;
  const uint32_t crashes = vcpu.capture().crashes();
  vcpu.capture().exit(answer, error);
  if (vcpu.capture().crashes() != crashes) [[unlikely]]
    wait_for_crash_reader(*shared_control());
  errno = error;
  return answer;
}

}  // namespace kvmtape::preload
