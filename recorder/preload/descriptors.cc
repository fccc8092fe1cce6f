#include "recorder/preload/descriptors.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <atomic>

#include "recorder/preload/interpose.h"

namespace kvmtape::preload {
namespace {

// include/linux/miscdevice.h: MISC_MAJOR (major.h) and KVM_MINOR.
constexpr unsigned kMiscMajor = 10, kKvmMinor = 232;
// The default of fs.nr_open; a higher number is passed on and not recorded. Only the pages of
// numbers in use take memory.
constexpr unsigned kDescriptorsMax = 1u << 20;

// A Kind, or the address of a Vcpu, which is larger than any Kind.
using Entry = std::atomic<uintptr_t>;
Entry* g_table = nullptr;
std::atomic<unsigned> g_end{0};  // every number that is set is below

constexpr size_t kTableBytes = kDescriptorsMax * sizeof(Entry);

void raise_end(unsigned end) noexcept {
  unsigned known = g_end.load(std::memory_order_relaxed);  // relaxed: only grows; see its readers
  while (known < end && !g_end.compare_exchange_weak(known, end, std::memory_order_relaxed)) {
    // relaxed: as above
  }
}

}  // namespace

bool make_descriptor_table() noexcept {
  void* memory = interpose::next::mmap(nullptr, kTableBytes, PROT_READ | PROT_WRITE,
                                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (memory == MAP_FAILED) return false;
  g_table = static_cast<Entry*>(memory);
  return true;
}

void clear_descriptor_table() noexcept { forget_descriptors(0, kDescriptorsMax); }

Descriptor descriptor(int fd) noexcept {
  if (static_cast<unsigned>(fd) >= kDescriptorsMax) return {Kind::kForeign, nullptr};
  // acquire: pairs with the release in set_descriptor, behind which the Vcpu was made
  const uintptr_t entry = g_table[fd].load(std::memory_order_acquire);
  if (entry > static_cast<uintptr_t>(Kind::kVcpu))
    return {Kind::kVcpu, reinterpret_cast<Vcpu*>(entry)};
  return {static_cast<Kind>(entry), nullptr};
}

void set_descriptor(int fd, Descriptor is) noexcept {
  if (static_cast<unsigned>(fd) >= kDescriptorsMax) return;
  raise_end(static_cast<unsigned>(fd) + 1);
  const uintptr_t entry =
      is.vcpu != nullptr ? reinterpret_cast<uintptr_t>(is.vcpu) : static_cast<uintptr_t>(is.kind);
  g_table[fd].store(entry, std::memory_order_release);  // pairs with descriptor()
}

bool any_descriptor() noexcept {
  return g_end.load(std::memory_order_relaxed) != 0;  // relaxed: only grows
}

void forget_descriptors(unsigned first, unsigned last) noexcept {
  const unsigned end = g_end.load(std::memory_order_relaxed);  // relaxed: a bound of what was set
  for (unsigned fd = first; fd < end && fd <= last; ++fd)
    // relaxed: the number means nothing until it is set again
    if (g_table[fd].load(std::memory_order_relaxed) != 0)
      g_table[fd].store(0, std::memory_order_relaxed);  // relaxed: as above
}

Kind examine(int fd, uint32_t& vcpu_id) noexcept {
  const int saved_errno = errno;
  Kind kind = Kind::kForeign;
  struct stat status {};
  char path[32], name[64];
  snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
  if (::fstat(fd, &status) == 0 && S_ISCHR(status.st_mode)) {
    if (status.st_rdev == makedev(kMiscMajor, kKvmMinor)) kind = Kind::kSystem;
  } else if (const ssize_t length = ::readlink(path, name, sizeof name - 1); length > 0) {
    // Names that virt/kvm/kvm_main.c gives: kvm-vm, kvm-vcpu:N (kvm-vcpu before 4.19), and
    // kvm-DEVICE for those of KVM_CREATE_DEVICE.
    name[length] = '\0';
    if (::strcmp(name, "anon_inode:kvm-vm") == 0) {
      kind = Kind::kVm;
    } else if (::strncmp(name, "anon_inode:kvm-vcpu", 19) == 0) {
      kind = Kind::kVcpu;
      vcpu_id = name[19] == ':' ? static_cast<uint32_t>(::strtoul(name + 20, nullptr, 10)) : ~0u;
    } else if (::strncmp(name, "anon_inode:kvm-", 15) == 0) {
      kind = Kind::kDevice;
    }
  }
  errno = saved_errno;
  return kind;
}

}  // namespace kvmtape::preload
