#include "recorder/probe/machine.h"

#include <fmt/core.h>
#include <sys/ioctl.h>
#include <sys/mman.h>

#include <algorithm>

#include "recorder/probe/arch.h"
#include "recorder/probe/noted_ioctl.h"
#include "schema/base/check.h"

namespace kvmtape {

Machine::Machine(Stage& stage, const MachineOptions& options)
    : stage_(stage), memory_bytes_(options.memory_bytes) {
  // Guest memory is there even when the VM is not: store() and load() need no test.
  void* memory = mmap(nullptr, memory_bytes_, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  KVMTAPE_CHECK(memory != MAP_FAILED);
  memory_ = static_cast<uint8_t*>(memory);
  fd_.reset(noted_ioctl(stage_,
                        {KVMTAPE_SYSTEM, stage_.kvm_fd(), nullptr, KVM_CREATE_VM, "KVM_CREATE_VM"},
                        options.vm_type));
  if (options.dirty_ring_bytes != 0) {
    enable_dirty_rings(options.dirty_ring_bytes);
  }
  add_memory(options.memory_flags, 0, memory_, memory_bytes_);
  prepare_machine(*this);
}

Machine::~Machine() {
  vcpus_.clear();
  fd_.reset();
  munmap(memory_, memory_bytes_);
}

int Machine::require(unsigned capability, const char* name) {
  const int value = noted_ioctl(
      stage_, {KVMTAPE_VM, fd(), nullptr, KVM_CHECK_EXTENSION, "KVM_CHECK_EXTENSION"}, capability);
  if (value == 0) stage_.refuse(fmt::format("KVM_CHECK_EXTENSION({}) is 0", name));
  return std::max(value, 0);
}

void Machine::enable_cap(unsigned capability, const char* name, uint64_t argument) {
  kvm_enable_cap enable = {};
  enable.cap = capability;
  enable.args[0] = argument;
  call(KVM_ENABLE_CAP, fmt::format("KVM_ENABLE_CAP({})", name).c_str(), &enable);
}

void Machine::enable_dirty_rings(uint32_t bytes) {
  // Where memory is weakly ordered there is only the one that wants acquire and release
  // (Documentation/virt/kvm/api.rst, 8.29).
  if (stage_.going() && ioctl(fd(), KVM_CHECK_EXTENSION, KVM_CAP_DIRTY_LOG_RING) > 0) {
    enable_cap(KVM_CAP_DIRTY_LOG_RING, "KVM_CAP_DIRTY_LOG_RING", bytes);
  } else {
    enable_cap(KVM_CAP_DIRTY_LOG_RING_ACQ_REL, "KVM_CAP_DIRTY_LOG_RING_ACQ_REL", bytes);
  }
}

bool Machine::call_value(unsigned long request, const char* name, uint64_t value) {
  return noted_ioctl(stage_, {KVMTAPE_VM, fd(), nullptr, request, name}, value) >= 0;
}

bool Machine::call_bytes(unsigned long request, const char* name, void* payload, size_t bytes) {
  return noted_ioctl(stage_, {KVMTAPE_VM, fd(), nullptr, request, name}, payload, bytes) >= 0;
}

bool Machine::add_memory(uint32_t flags, uint64_t guest_address, void* memory, size_t bytes) {
  kvm_userspace_memory_region region = {};
  region.slot = slots_++;
  region.flags = flags;
  region.guest_phys_addr = guest_address;
  region.memory_size = bytes;
  region.userspace_addr = reinterpret_cast<uintptr_t>(memory);
  return call(KVM_SET_USER_MEMORY_REGION, "KVM_SET_USER_MEMORY_REGION", &region);
}

Vcpu& Machine::add_vcpu(uint64_t entry) {
  Vcpu& vcpu = add_bare_vcpu();
  prepare_vcpu(*this, vcpu, entry, kStackTop - vcpu.id() * kPageBytes);
  return vcpu;
}

Vcpu& Machine::add_bare_vcpu() {
  return vcpus_.emplace_back(stage_, fd(), static_cast<unsigned>(vcpus_.size()));
}

void Machine::load_code(GuestCode code, uint64_t address) {
  KVMTAPE_CHECK(address + code.size() <= memory_bytes_);
  std::copy(code.begin(), code.end(), memory_ + address);
}

}  // namespace kvmtape
