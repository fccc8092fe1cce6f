// Only MMIO is completed from kvm_run: of KVM_EXIT_HYPERCALL and KVM_EXIT_ARM_NISV the monitor
// answers in the vCPU's registers. Read in arch/arm64/kvm of Linux 5.10, 6.1, 6.12 and 7.2.
#include "recorder/probe/completion.h"

#include <algorithm>

namespace kvmtape {

std::vector<ByteRange> bytes_read_to_complete(const kvm_run& run) {
  // kvm_arch_vcpu_ioctl_run (arm.c) compares it, and calls kvm_handle_mmio_return (mmio.c).
  if (run.exit_reason != KVM_EXIT_MMIO) return {};
  if (run.mmio.is_write != 0) return {range_of(run, run.exit_reason)};
  // len and is_write: virt/kvm/arm/mmio.c of 4.19 asked these and not the vCPU's syndrome.
  return {range_of(run, run.exit_reason),
          range_of(run, run.mmio.data, std::min<size_t>(run.mmio.len, sizeof run.mmio.data)),
          range_of(run, run.mmio.len), range_of(run, run.mmio.is_write)};
}

}  // namespace kvmtape
