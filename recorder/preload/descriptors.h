// What this process's descriptors are to KVM, by number. Looked up at every ioctl of KVM's, without
// a lock; anything that opens, copies or closes one keeps it up to date. A number that is not known
// is looked up in /proc once.
#pragma once

#include <stdint.h>

namespace kvmtape::preload {

struct Vcpu;

enum class Kind : uintptr_t { kUnknown = 0, kForeign, kSystem, kVm, kDevice, kVcpu };

struct Descriptor {
  Kind kind = Kind::kUnknown;
  Vcpu* vcpu = nullptr;  // of kVcpu
};

// False: no memory for the table, nothing can be recorded.
bool make_descriptor_table() noexcept;
// A forked child starts anew: its parent's VMs are not its own (KVM answers EIO).
void clear_descriptor_table() noexcept;

Descriptor descriptor(int fd) noexcept;
void set_descriptor(int fd, Descriptor is) noexcept;
// Whether any was ever set: the process has to do with KVM.
bool any_descriptor() noexcept;
void forget_descriptors(unsigned first, unsigned last) noexcept;

// What the kernel says that it is; `vcpu_id` is set for kVcpu (~0 where the kernel does not tell).
// System calls, errno kept.
Kind examine(int fd, uint32_t& vcpu_id) noexcept;

}  // namespace kvmtape::preload
