// Which of this process's mappings is a vCPU's kvm_run, where nobody saw it made. Several VMs have
// vCPUs of one number, whose mappings have one name; so the vCPU is mapped once more for a moment,
// and a mark there shows through in the one that is sought.
#pragma once

#include <stddef.h>
#include <stdint.h>

namespace kvmtape::preload {

struct Mapping {
  void* begin = nullptr;  // nullptr: there is none
  size_t bytes = 0;
};

// Of the vCPU that `fd` is; a thread that runs it may record the mark as padding. `id` is KVM's, or
// ~0 where the kernel does not tell. One thread at a time. System calls: open, read, close, mmap,
// munmap, process_vm_readv.
Mapping mapping_of(int fd, uint32_t id) noexcept;

}  // namespace kvmtape::preload
