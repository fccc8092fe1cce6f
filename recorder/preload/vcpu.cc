#include "recorder/preload/vcpu.h"

#include <errno.h>
#include <pthread.h>
#include <sys/mman.h>

#include <new>

#include "recorder/preload/descriptors.h"
#include "recorder/preload/interpose.h"
#include "recorder/preload/mappings.h"
#include "recorder/preload/rings.h"
#include "recorder/preload/shared_session.h"
#include "recorder/ring/clock.h"

namespace kvmtape::preload {
namespace {

namespace next = interpose::next;

// A signal handler that maps or unmaps while its thread is here gets an error and goes without.
pthread_mutex_t g_mutex = PTHREAD_ERRORCHECK_MUTEX_INITIALIZER_NP;

// Guarded by g_mutex.
Vcpu* g_vcpus = nullptr;
bool g_ioctls_forbidden = false;
// So that a vCPU can be made where a filter kills for an mmap; further ones are mapped.
constexpr size_t kVcpusAtHand = kUnrecordedVcpusMax;
Vcpu g_at_hand[kVcpusAtHand];
size_t g_at_hand_used = 0;

std::atomic<bool> g_set_up_forbidden{false}, g_search_forbidden{false};

// Where kvm_runs lie, for a quick look at every munmap of the monitor's; only grows.
std::atomic<uintptr_t> g_lowest{UINTPTR_MAX};
std::atomic<uintptr_t> g_highest{0};

// Two threads that meet here ask the kernel for a futex: no program of two threads has a filter
// against that.
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
  const RingMemory memory =
      set_up_forbidden() ? take_spare_ring(vcpu.id, control) : make_ring(vcpu.id, control);
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

Vcpu* vcpu_at(const void* address) noexcept {
  for (Vcpu* vcpu = g_vcpus; vcpu != nullptr; vcpu = vcpu->next)
    if (vcpu->run == address) return vcpu;
  return nullptr;
}

Vcpu* new_vcpu(uint32_t id, int fd) noexcept {
  void* memory = MAP_FAILED;
  if (g_at_hand_used < kVcpusAtHand)
    memory = &g_at_hand[g_at_hand_used++];
  else if (!set_up_forbidden())
    memory = next::mmap(nullptr, sizeof(Vcpu), PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
  if (memory == MAP_FAILED) return nullptr;
  auto* vcpu = new (memory) Vcpu{};
  vcpu->id = id;
  vcpu->fd = fd;
  vcpu->next = g_vcpus;
  g_vcpus = vcpu;
  return vcpu;
}

}  // namespace

Vcpu* add_vcpu(uint32_t id, int fd) noexcept {
  const KeepErrno keep;
  const SetUpLock lock;
  return lock.held() ? new_vcpu(id, fd) : nullptr;
}

Vcpu* identify_vcpu(uint32_t id, int fd) noexcept {
  const KeepErrno keep;
  const SetUpLock lock;
  if (!lock.held()) return nullptr;
  if (!search_forbidden()) {
    const Mapping mapping = mapping_of(fd, id);
    if (mapping.begin != nullptr)
      if (Vcpu* known = vcpu_at(mapping.begin)) return known;
  }
  return new_vcpu(id, fd);  // not mapped yet, or by an unseen way
}

void vcpu_mapped(Vcpu& vcpu, int fd, void* run, size_t bytes) noexcept {
  const KeepErrno keep;
  const SetUpLock lock;
  // Mapped again elsewhere, the first mapping is as good.
  if (!lock.held() || vcpu.run != nullptr || bytes < kCoreWords * kWordBytes) return;
  start(vcpu, fd, run, bytes);
}

Vcpu& find_mapping(Vcpu& vcpu, int fd) noexcept {
  const KeepErrno keep;
  const SetUpLock lock;
  if (!lock.held() || vcpu.run != nullptr) return vcpu;
  const Mapping mapping = search_forbidden() ? Mapping{} : mapping_of(fd, vcpu.id);
  if (mapping.begin == nullptr) {
    count_only(vcpu, *shared_control());
    return vcpu;
  }
  if (Vcpu* known = vcpu_at(mapping.begin)) return *known;
  start(vcpu, fd, mapping.begin, mapping.bytes);
  return vcpu;
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
      const bool stays = set_up_forbidden();
      vcpu->capture().finish(stays ? RingEnd::kMapped : RingEnd::kUnmapped);
      if (!stays) next::munmap(vcpu->ring, vcpu->ring_bytes);
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

bool search_forbidden() noexcept {
  // relaxed: as of set_up_forbidden
  return set_up_forbidden() || g_search_forbidden.load(std::memory_order_relaxed);
}

void forbid_search() noexcept {
  g_search_forbidden.store(true, std::memory_order_relaxed);  // relaxed: as above
}

bool set_up_forbidden() noexcept {
  // relaxed: set by the thread that installs the filter before it does
  return g_set_up_forbidden.load(std::memory_order_relaxed);
}

void forbid_set_up() noexcept {
  const KeepErrno keep;
  const SetUpLock lock;
  if (lock.held() && !set_up_forbidden() && any_descriptor()) {
    uint32_t all = 0, unmapped = 0;
    for (const Vcpu* vcpu = g_vcpus; vcpu != nullptr; vcpu = vcpu->next, ++all)
      if (vcpu->run == nullptr) ++unmapped;
    // A monitor that has made one has made all of them.
    make_spare_rings(all == 0 ? kSpareRingsMax : unmapped, *shared_control());
  }
  g_set_up_forbidden.store(true, std::memory_order_relaxed);  // relaxed: see set_up_forbidden
}

void forget_vcpus() noexcept {
  // The parent's other threads are not here to unlock it.
  g_mutex = PTHREAD_ERRORCHECK_MUTEX_INITIALIZER_NP;
  g_vcpus = nullptr;
  g_at_hand_used = 0;
  forget_spare_rings();
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
