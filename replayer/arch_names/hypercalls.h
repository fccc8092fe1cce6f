// Hypercall numbers that reach user space: KVM's own, Hyper-V's and Xen's, with the exit types of
// the latter two; and LoongArch IOCSR registers. Pure functions, any thread, any input; an empty
// name means not known.
//
// Sources: include/uapi/linux/kvm_para.h and kvm.h of Linux 6.1 and 6.12,
// asm-generic/hyperv-tlfs.h, include/xen/interface/xen.h and arch/loongarch/include/asm/loongarch.h
// of Linux 6.12.
#pragma once

#include <cstdint>
#include <string_view>

#include "replayer/arch_names/named_value.h"

namespace kvmtape {

// hypercall.nr of KVM_EXIT_HYPERCALL on x86, ppc and mips: "KVM_HC_MAP_GPA_RANGE". arm64 puts an
// SMCCC function id there (psci.h).
std::string_view kvm_hypercall_name(uint64_t number);

// hyperv.type: "KVM_EXIT_HYPERV_SYNIC".
std::string_view hyperv_exit_type_name(uint32_t type);
// hyperv.u.hcall.input: the call code is its low 16 bits. "HVCALL_POST_MESSAGE".
std::string_view hyperv_call_name(uint64_t input);

// xen.type: "KVM_EXIT_XEN_HCALL".
std::string_view xen_exit_type_name(uint32_t type);
// xen.u.hcall.input: "__HYPERVISOR_sched_op".
std::string_view xen_hypercall_name(uint64_t number);

// iocsr_io.phys_addr of KVM_EXIT_LOONGARCH_IOCSR: "LOONGARCH_IOCSR_IPI_SEND".
std::string_view iocsr_name(uint64_t address);

NamedValues all_kvm_hypercalls();
NamedValues all_hyperv_calls();
NamedValues all_xen_hypercalls();
NamedValues all_iocsrs();

}  // namespace kvmtape
