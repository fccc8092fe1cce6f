#include "replayer/arch_names/hypercalls.h"

namespace kvmtape {
namespace {

constexpr NamedValue kKvmHypercalls[] = {
    {1, "KVM_HC_VAPIC_POLL_IRQ"}, {2, "KVM_HC_MMU_OP"},
    {3, "KVM_HC_FEATURES"},       {4, "KVM_HC_PPC_MAP_MAGIC_PAGE"},
    {5, "KVM_HC_KICK_CPU"},       {6, "KVM_HC_MIPS_GET_CLOCK_FREQ"},
    {7, "KVM_HC_MIPS_EXIT_VM"},   {8, "KVM_HC_MIPS_CONSOLE_OUTPUT"},
    {9, "KVM_HC_CLOCK_PAIRING"},  {10, "KVM_HC_SEND_IPI"},
    {11, "KVM_HC_SCHED_YIELD"},   {12, "KVM_HC_MAP_GPA_RANGE"}};
static_assert(strictly_rising(kKvmHypercalls));

constexpr NamedValue kHypervExits[] = {
    {1, "KVM_EXIT_HYPERV_SYNIC"}, {2, "KVM_EXIT_HYPERV_HCALL"}, {3, "KVM_EXIT_HYPERV_SYNDBG"}};
static_assert(strictly_rising(kHypervExits));
constexpr uint64_t kHypervCodeMask = 0xffff;

constexpr NamedValue kHypervCalls[] = {
    {0x2, "HVCALL_FLUSH_VIRTUAL_ADDRESS_SPACE"},
    {0x3, "HVCALL_FLUSH_VIRTUAL_ADDRESS_LIST"},
    {0x8, "HVCALL_NOTIFY_LONG_SPIN_WAIT"},
    {0xb, "HVCALL_SEND_IPI"},
    {0xf, "HVCALL_ENABLE_VP_VTL"},
    {0x13, "HVCALL_FLUSH_VIRTUAL_ADDRESS_SPACE_EX"},
    {0x14, "HVCALL_FLUSH_VIRTUAL_ADDRESS_LIST_EX"},
    {0x15, "HVCALL_SEND_IPI_EX"},
    {0x46, "HVCALL_GET_PARTITION_ID"},
    {0x48, "HVCALL_DEPOSIT_MEMORY"},
    {0x4e, "HVCALL_CREATE_VP"},
    {0x50, "HVCALL_GET_VP_REGISTERS"},
    {0x51, "HVCALL_SET_VP_REGISTERS"},
    {0x5c, "HVCALL_POST_MESSAGE"},
    {0x5d, "HVCALL_SIGNAL_EVENT"},
    {0x69, "HVCALL_POST_DEBUG_DATA"},
    {0x6a, "HVCALL_RETRIEVE_DEBUG_DATA"},
    {0x6b, "HVCALL_RESET_DEBUG_SESSION"},
    {0x76, "HVCALL_ADD_LOGICAL_PROCESSOR"},
    {0x7c, "HVCALL_MAP_DEVICE_INTERRUPT"},
    {0x7d, "HVCALL_UNMAP_DEVICE_INTERRUPT"},
    {0x7e, "HVCALL_RETARGET_INTERRUPT"},
    {0x99, "HVCALL_START_VP"},
    {0x9a, "HVCALL_GET_VP_ID_FROM_APIC_ID"},
    {0xaf, "HVCALL_FLUSH_GUEST_PHYSICAL_ADDRESS_SPACE"},
    {0xb0, "HVCALL_FLUSH_GUEST_PHYSICAL_ADDRESS_LIST"},
    {0xdb, "HVCALL_MODIFY_SPARSE_GPA_PAGE_HOST_VISIBILITY"},
    {0x106, "HVCALL_MMIO_READ"},
    {0x107, "HVCALL_MMIO_WRITE"},
};
static_assert(strictly_rising(kHypervCalls));

constexpr NamedValue kXenExits[] = {
    {1, "KVM_EXIT_XEN_HCALL"},
};

constexpr NamedValue kXenHypercalls[] = {
    {0x0, "__HYPERVISOR_set_trap_table"},
    {0x1, "__HYPERVISOR_mmu_update"},
    {0x2, "__HYPERVISOR_set_gdt"},
    {0x3, "__HYPERVISOR_stack_switch"},
    {0x4, "__HYPERVISOR_set_callbacks"},
    {0x5, "__HYPERVISOR_fpu_taskswitch"},
    {0x6, "__HYPERVISOR_sched_op_compat"},
    {0x7, "__HYPERVISOR_platform_op"},
    {0x8, "__HYPERVISOR_set_debugreg"},
    {0x9, "__HYPERVISOR_get_debugreg"},
    {0xa, "__HYPERVISOR_update_descriptor"},
    {0xc, "__HYPERVISOR_memory_op"},
    {0xd, "__HYPERVISOR_multicall"},
    {0xe, "__HYPERVISOR_update_va_mapping"},
    {0xf, "__HYPERVISOR_set_timer_op"},
    {0x10, "__HYPERVISOR_event_channel_op_compat"},
    {0x11, "__HYPERVISOR_xen_version"},
    {0x12, "__HYPERVISOR_console_io"},
    {0x13, "__HYPERVISOR_physdev_op_compat"},
    {0x14, "__HYPERVISOR_grant_table_op"},
    {0x15, "__HYPERVISOR_vm_assist"},
    {0x16, "__HYPERVISOR_update_va_mapping_otherdomain"},
    {0x17, "__HYPERVISOR_iret"},
    {0x18, "__HYPERVISOR_vcpu_op"},
    {0x19, "__HYPERVISOR_set_segment_base"},
    {0x1a, "__HYPERVISOR_mmuext_op"},
    {0x1b, "__HYPERVISOR_xsm_op"},
    {0x1c, "__HYPERVISOR_nmi_op"},
    {0x1d, "__HYPERVISOR_sched_op"},
    {0x1e, "__HYPERVISOR_callback_op"},
    {0x1f, "__HYPERVISOR_xenoprof_op"},
    {0x20, "__HYPERVISOR_event_channel_op"},
    {0x21, "__HYPERVISOR_physdev_op"},
    {0x22, "__HYPERVISOR_hvm_op"},
    {0x23, "__HYPERVISOR_sysctl"},
    {0x24, "__HYPERVISOR_domctl"},
    {0x25, "__HYPERVISOR_kexec_op"},
    {0x26, "__HYPERVISOR_tmem_op"},
    {0x27, "__HYPERVISOR_xc_reserved_op"},
    {0x28, "__HYPERVISOR_xenpmu_op"},
    {0x29, "__HYPERVISOR_dm_op"},
    {0x30, "__HYPERVISOR_arch_0"},
    {0x31, "__HYPERVISOR_arch_1"},
    {0x32, "__HYPERVISOR_arch_2"},
    {0x33, "__HYPERVISOR_arch_3"},
    {0x34, "__HYPERVISOR_arch_4"},
    {0x35, "__HYPERVISOR_arch_5"},
    {0x36, "__HYPERVISOR_arch_6"},
    {0x37, "__HYPERVISOR_arch_7"},
};
static_assert(strictly_rising(kXenHypercalls));

// Where an array of registers begins, its name ends in _BASE.
constexpr NamedValue kIocsrs[] = {
    {0x8, "LOONGARCH_IOCSR_FEATURES"},
    {0x10, "LOONGARCH_IOCSR_VENDOR"},
    {0x20, "LOONGARCH_IOCSR_CPUNAME"},
    {0x408, "LOONGARCH_IOCSR_NODECNT"},
    {0x420, "LOONGARCH_IOCSR_MISC_FUNC"},
    {0x428, "LOONGARCH_IOCSR_CPUTEMP"},
    {0x51c, "LOONGARCH_IOCSR_SMCMBX"},
    {0x1000, "LOONGARCH_IOCSR_IPI_STATUS"},
    {0x1004, "LOONGARCH_IOCSR_IPI_EN"},
    {0x1008, "LOONGARCH_IOCSR_IPI_SET"},
    {0x100c, "LOONGARCH_IOCSR_IPI_CLEAR"},
    {0x1020, "LOONGARCH_IOCSR_MBUF0"},
    {0x1028, "LOONGARCH_IOCSR_MBUF1"},
    {0x1030, "LOONGARCH_IOCSR_MBUF2"},
    {0x1038, "LOONGARCH_IOCSR_MBUF3"},
    {0x1040, "LOONGARCH_IOCSR_IPI_SEND"},
    {0x1048, "LOONGARCH_IOCSR_MBUF_SEND"},
    {0x1060, "LOONGARCH_IOCSR_TIMER_CFG"},
    {0x1070, "LOONGARCH_IOCSR_TIMER_TICK"},
    {0x1158, "LOONGARCH_IOCSR_ANY_SEND"},
    {0x14a0, "LOONGARCH_IOCSR_EXTIOI_NODEMAP_BASE"},
    {0x14c0, "LOONGARCH_IOCSR_EXTIOI_IPMAP_BASE"},
    {0x1600, "LOONGARCH_IOCSR_EXTIOI_EN_BASE"},
    {0x1680, "LOONGARCH_IOCSR_EXTIOI_BOUNCE_BASE"},
    {0x1800, "LOONGARCH_IOCSR_EXTIOI_ISR_BASE"},
    {0x1c00, "LOONGARCH_IOCSR_EXTIOI_ROUTE_BASE"},
};
static_assert(strictly_rising(kIocsrs));

}  // namespace

std::string_view kvm_hypercall_name(uint64_t number) { return name_of(kKvmHypercalls, number); }
std::string_view hyperv_exit_type_name(uint32_t type) { return name_of(kHypervExits, type); }
std::string_view hyperv_call_name(uint64_t input) {
  return name_of(kHypervCalls, input & kHypervCodeMask);
}
std::string_view xen_exit_type_name(uint32_t type) { return name_of(kXenExits, type); }
std::string_view xen_hypercall_name(uint64_t number) { return name_of(kXenHypercalls, number); }
std::string_view iocsr_name(uint64_t address) { return name_of(kIocsrs, address); }

NamedValues all_kvm_hypercalls() { return kKvmHypercalls; }
NamedValues all_hyperv_calls() { return kHypervCalls; }
NamedValues all_xen_hypercalls() { return kXenHypercalls; }
NamedValues all_iocsrs() { return kIocsrs; }

}  // namespace kvmtape
