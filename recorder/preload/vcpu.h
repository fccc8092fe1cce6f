// One vCPU of this process: where its kvm_run is mapped, its ring and its capture. Made and changed
// at set-up under one lock, by any thread; run() is the hot path, on the vCPU's own thread, and
// makes no system call but the monitor's own. Never freed: a descriptor table entry may still name
// it.
#pragma once

#include <stddef.h>
#include <stdint.h>

#include <atomic>

#include "recorder/capture/vcpu_capture.h"
#include "recorder/ring/record_control.h"

namespace kvmtape::preload {

struct Vcpu {
  enum class State : uint32_t {
    kUnmapped,  // its kvm_run has not been seen, or is gone
    kRecorded,
    kCounted,  // no memory for a ring, or no kvm_run to be found: exits are only counted
  };
  // Any thread; released after the members below were set.
  std::atomic<State> state;

  // Set-up lock.
  Vcpu* next;
  uint32_t id;  // KVM's
  int fd;       // for register ioctls: the one that was mapped
  void* run;
  size_t run_bytes;
  RingHeader* ring;
  size_t ring_bytes;
  RecordControl::UnrecordedVcpu* counter;
  alignas(VcpuCapture) unsigned char capture_bytes[sizeof(VcpuCapture)];

  VcpuCapture& capture() noexcept {
    return *std::launder(reinterpret_cast<VcpuCapture*>(capture_bytes));
  }
};

// Null: no memory.
Vcpu* add_vcpu(uint32_t id, int fd) noexcept;
// The vCPU that a descriptor is which came by an unseen way. Null: no memory.
Vcpu* identify_vcpu(uint32_t id, int fd) noexcept;
// `fd` of the vCPU was mapped at offset 0: makes its ring.
void vcpu_mapped(Vcpu& vcpu, int fd, void* run, size_t bytes) noexcept;
// Looks for a mapping that was made by an unseen way; where there is none, exits are only counted.
// Returns which vCPU `fd` is: another one, if that has the mapping.
Vcpu& find_mapping(Vcpu& vcpu, int fd) noexcept;
// No vCPU whose kvm_run lies there is recorded any more.
void range_unmapped(void* address, size_t bytes) noexcept;
// A system call filter would kill for a register ioctl: none is made from now on.
void forbid_register_ioctls() noexcept;
// A system call filter would kill for what set-up asks of the kernel, beside the monitor's own
// calls. Makes rings for vCPUs to come; from then on nothing is asked. Any thread.
void forbid_set_up() noexcept;
bool set_up_forbidden() noexcept;
// It would kill for process_vm_readv: no mapping is looked for. Any thread.
void forbid_search() noexcept;
bool search_forbidden() noexcept;
// A forked child: the vCPUs and rings are the parent's.
void forget_vcpus() noexcept;

// KVM_RUN with its two moments around it. `state` was kRecorded or kCounted.
int run(Vcpu& vcpu, Vcpu::State state, int fd, unsigned long request, void* argument) noexcept;

}  // namespace kvmtape::preload
