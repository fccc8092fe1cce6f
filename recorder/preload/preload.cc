// libkvmtape_preload.so: inside an unmodified monitor that `kvmtape record` started, between it and
// its libc. What goes through here is passed on as it came; around KVM_RUN the two moments of an
// exit are left in the vCPU's ring, and a few other calls to KVM in the session's. A guest in a
// foreign house: no thread, no signal handler, no descriptor kept, no symbol beyond preload.map.
#include <errno.h>
#include <linux/audit.h>
#include <linux/kvm.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "recorder/capture/registers.h"
#include "recorder/preload/control_plane.h"
#include "recorder/preload/descriptors.h"
#include "recorder/preload/filter.h"
#include "recorder/preload/interpose.h"
#include "recorder/preload/shared_session.h"
#include "recorder/preload/vcpu.h"
#include "recorder/ring/system_call_filters.h"

// A class of capture has a pure virtual function, which is never called; libstdc++ is not here.
extern "C" __attribute__((visibility("hidden"))) void __cxa_pure_virtual() { __builtin_trap(); }

namespace kvmtape::preload {
namespace {

namespace next = interpose::next;

#if defined(__x86_64__)
constexpr uint32_t kAuditArchitecture = AUDIT_ARCH_X86_64;
#else
constexpr uint32_t kAuditArchitecture = AUDIT_ARCH_AARCH64;
#endif

// What set-up of a vCPU asks of the kernel beside the monitor's own calls.
constexpr int kSetUpCalls[] = {
    SYS_openat,     SYS_fallocate,      SYS_mmap,          SYS_munmap,          SYS_close,
    SYS_read,       SYS_rt_sigprocmask, SYS_rt_sigpending, SYS_rt_sigtimedwait, SYS_readlinkat,
    SYS_newfstatat, SYS_fstat,          SYS_getpid,        SYS_unlinkat,
#if defined(__x86_64__)  // which glibc uses where there are both
    SYS_readlink,   SYS_unlink,
#endif
};

constexpr int kSearchCalls[] = {SYS_process_vm_readv, SYS_getpid};

bool g_recording = false;
int g_pid = 0;
// A page that is zero in a forked child (madvise(2), MADV_WIPEONFORK), and 1 in who wrote it: a
// child must not touch the rings of its parent's vCPUs.
volatile char* g_own_page = nullptr;

__attribute__((constructor(103))) void begin() {
  const int saved_errno = errno;
  if (shared_control() != nullptr && make_descriptor_table()) {
    void* page = next::mmap(nullptr, static_cast<size_t>(::sysconf(_SC_PAGESIZE)),
                            PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (page != MAP_FAILED && ::madvise(page, 1, MADV_WIPEONFORK) == 0) {
      g_own_page = static_cast<volatile char*>(page);
      *g_own_page = 1;
      g_pid = ::getpid();
      g_recording = true;
    }
    // What those that it was started under forbid cannot be asked: nothing is asked of the kernel.
    if (system_call_filters() > shared_control()->filters) {
      forbid_register_ioctls();
      forbid_set_up();
      // relaxed: a count
      shared_control()->filtered_processes.fetch_add(1, std::memory_order_relaxed);
    }
  }
  errno = saved_errno;
}

// In a forked child, before anything else.
void begin_anew() noexcept {
  clear_descriptor_table();
  forget_vcpus();
  if (!set_up_forbidden()) g_pid = ::getpid();
  *g_own_page = 1;
}

// A child of vfork copies and closes its own descriptors; this table is its parent's. (getpid does
// not touch errno.)
bool is_own_table() noexcept { return set_up_forbidden() || ::getpid() == g_pid; }

// What of KVM's a descriptor must be that took this request: KVM's letter is not quite its own.
Kind asked_for(uint32_t request) noexcept {
  if (request == KVM_CREATE_VM) return Kind::kSystem;
  return request == KVM_CREATE_VCPU ? Kind::kVm : Kind::kUnknown;
}

bool is_kvm(uint32_t request) noexcept { return (request >> 8 & 0xff) == KVMIO; }

Descriptor known_descriptor(int fd, uint32_t request) noexcept {
  Descriptor is = descriptor(fd);
  if (is.kind != Kind::kUnknown) return is;
  if (set_up_forbidden()) return {asked_for(request), nullptr};
  uint32_t vcpu_id = 0;
  is.kind = examine(fd, vcpu_id);
  if (is.kind == Kind::kVcpu) {
    is.vcpu = identify_vcpu(vcpu_id, fd);
    if (is.vcpu == nullptr) return {};
  }
  set_descriptor(fd, is);
  return is;
}

int run_vcpu(int fd, unsigned long request, void* argument) noexcept {
  Descriptor is = descriptor(fd);
  if (is.vcpu == nullptr) is = known_descriptor(fd, KVM_RUN);
  if (is.vcpu == nullptr) return next::ioctl(fd, request, argument);
  // acquire: pairs with the release in vcpu.cc, behind which the capture was made
  Vcpu::State state = is.vcpu->state.load(std::memory_order_acquire);
  if (state == Vcpu::State::kUnmapped) [[unlikely]] {
    Vcpu& found = find_mapping(*is.vcpu, fd);
    if (&found != is.vcpu) set_descriptor(fd, {Kind::kVcpu, &found});
    is.vcpu = &found;
    state = found.state.load(std::memory_order_acquire);  // acquire: as above
    if (state == Vcpu::State::kUnmapped) return next::ioctl(fd, request, argument);
  }
  return run(*is.vcpu, state, fd, request, argument);
}

void note_new_descriptor(uint32_t request, void* argument, int result) noexcept {
  if (request == KVM_CREATE_VM) {
    set_descriptor(result, {Kind::kVm, nullptr});
  } else if (request == KVM_CREATE_VCPU) {
    Vcpu* vcpu = add_vcpu(static_cast<uint32_t>(reinterpret_cast<uintptr_t>(argument)), result);
    set_descriptor(result, vcpu == nullptr ? Descriptor{} : Descriptor{Kind::kVcpu, vcpu});
  } else if (request == KVM_CREATE_DEVICE) {
    const auto* device = static_cast<const kvm_create_device*>(argument);
    if ((device->flags & KVM_CREATE_DEVICE_TEST) == 0)
      set_descriptor(static_cast<int>(device->fd), {Kind::kDevice, nullptr});
  }
}

int control_ioctl(int fd, unsigned long request, void* argument) noexcept {
  const Descriptor is = known_descriptor(fd, static_cast<uint32_t>(request));
  const int result = next::ioctl(fd, request, argument);
  if (is.kind == Kind::kUnknown || is.kind == Kind::kForeign) return result;
  const int error = errno;
  const auto number = static_cast<uint32_t>(request);
  if (result >= 0) note_new_descriptor(number, argument, result);
  if (number == KVM_SET_GUEST_DEBUG && is.vcpu != nullptr &&
      is.vcpu->state.load(std::memory_order_acquire) ==  // acquire: as in run_vcpu
          Vcpu::State::kRecorded)
    is.vcpu->capture().guest_debug_changed();
  note_control_call(is.kind, is.vcpu == nullptr ? 0 : is.vcpu->id, number, argument, result, error);
  errno = error;
  return result;
}

bool allows_all_of(const sock_fprog& filter, std::span<const int> calls) noexcept {
  for (const int call : calls) {
    seccomp_data data{};
    data.nr = call;
    data.arch = kAuditArchitecture;
    if (!filter_allows(filter, data)) return false;
  }
  return true;
}

bool allows_register_ioctls(const sock_fprog& filter) noexcept {
  for (const unsigned long request : register_requests()) {
    seccomp_data data{};
    data.nr = SYS_ioctl;
    data.arch = kAuditArchitecture;
    data.args[1] = request;
    if (!filter_allows(filter, data)) return false;
  }
  return true;
}

}  // namespace
}  // namespace kvmtape::preload

namespace kvmtape::interpose {

using namespace kvmtape::preload;  // NOLINT: this is the seam between the two

int on_ioctl(int fd, unsigned long request, void* argument) noexcept {
  const auto number = static_cast<uint32_t>(request);
  if (!is_kvm(number) || !g_recording) return next::ioctl(fd, request, argument);
  if (*g_own_page == 0) [[unlikely]]
    begin_anew();
  if (number == KVM_RUN) [[likely]]
    return run_vcpu(fd, request, argument);
  return control_ioctl(fd, request, argument);
}

void on_mapped(void* address, size_t bytes, int fd, off_t offset) noexcept {
  if (!g_recording || offset != 0 || *g_own_page == 0) return;
  if (const Descriptor is = descriptor(fd); is.vcpu != nullptr)
    vcpu_mapped(*is.vcpu, fd, address, bytes);
}

void on_unmapping(void* address, size_t bytes) noexcept {
  if (g_recording && *g_own_page != 0) range_unmapped(address, bytes);
}

void on_copied(int from, int to) noexcept {
  if (!g_recording || *g_own_page == 0) return;
  const Descriptor is = descriptor(from);
  if (is.kind == Kind::kUnknown && descriptor(to).kind == Kind::kUnknown) return;
  if (is_own_table()) set_descriptor(to, is);
}

void on_closing(unsigned first, unsigned last) noexcept {
  if (!g_recording || *g_own_page == 0) return;
  if (first != last || descriptor(static_cast<int>(first)).kind != Kind::kUnknown)
    if (is_own_table()) forget_descriptors(first, last);
}

void on_filter(const sock_fprog* filter) noexcept {
  if (!g_recording || *g_own_page == 0) return;
  if (filter == nullptr || !allows_register_ioctls(*filter)) forbid_register_ioctls();
  if (filter == nullptr || !allows_all_of(*filter, kSetUpCalls)) forbid_set_up();
  if (filter == nullptr || !allows_all_of(*filter, kSearchCalls)) forbid_search();
}

}  // namespace kvmtape::interpose
