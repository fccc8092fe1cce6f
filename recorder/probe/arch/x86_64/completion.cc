// vcpu->arch.complete_userspace_io says what is due, so that nothing reads exit_reason. Read in
// arch/x86/kvm of Linux 5.10, 6.1, 6.12 and 7.2.
#include "recorder/probe/completion.h"

#include <algorithm>

namespace kvmtape {
namespace {

// kvm_hv_hypercall_complete_userspace and kvm_hv_syndbg_complete_userspace (hyperv.c).
std::vector<ByteRange> read_of_hyperv(const kvm_run& run) {
  const auto& exit = run.hyperv.u;
  switch (run.hyperv.type) {
    case KVM_EXIT_HYPERV_HCALL:
      return {range_of(run, exit.hcall.result)};
    case KVM_EXIT_HYPERV_SYNDBG:
      return {range_of(run, exit.syndbg.msr), range_of(run, exit.syndbg.status)};
    default:
      return {};
  }
}

}  // namespace

std::vector<ByteRange> bytes_read_to_complete(const kvm_run& run) {
  switch (run.exit_reason) {
    case KVM_EXIT_MMIO:  // complete_emulated_mmio (x86.c); of which length, the vCPU knows
      if (run.mmio.is_write != 0) return {};
      return {range_of(run, run.mmio.data, std::min<size_t>(run.mmio.len, sizeof run.mmio.data))};
    case KVM_EXIT_HYPERCALL:  // complete_hypercall_exit
      return {range_of(run, run.hypercall.ret)};
    case KVM_EXIT_X86_RDMSR:  // complete_emulated_rdmsr
      return {range_of(run, run.msr.error), range_of(run, run.msr.data)};
    case KVM_EXIT_X86_WRMSR:  // complete_emulated_wrmsr
      return {range_of(run, run.msr.error)};
    case KVM_EXIT_XEN:  // kvm_xen_hypercall_complete_userspace (xen.c)
      return {range_of(run, run.xen.u.hcall.result)};
    case KVM_EXIT_HYPERV:
      return read_of_hyperv(run);
    default:  // KVM_EXIT_IO as well: its data is in a page of its own, the rest the vCPU's
      return {};
  }
}

}  // namespace kvmtape
