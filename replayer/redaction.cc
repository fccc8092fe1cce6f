#include "replayer/redaction.h"

#include <algorithm>
#include <array>
#include <iterator>
#include <unordered_map>

namespace kvmtape {
namespace {

struct Row {
  std::string_view field;
  Sensitivity sensitivity;
};

// Every field of schema/abi that a reader is shown; a test holds them against each other. In doubt
// the more careful one: what a hypercall's result or an intercepted instruction may be made of.
constexpr Sensitivity kShape = Sensitivity::kShape;
constexpr Sensitivity kFact = Sensitivity::kFact;
constexpr Sensitivity kRegister = Sensitivity::kRegister;
constexpr Sensitivity kPayload = Sensitivity::kPayload;
constexpr Row kRows[] = {
    {"io.direction", kShape},
    {"io.size", kShape},
    {"io.port", kShape},
    {"io.count", kShape},
    {"io.data_offset", kShape},
    {"mmio.phys_addr", kShape},
    {"mmio.len", kShape},
    {"mmio.is_write", kShape},
    {"iocsr_io.phys_addr", kShape},
    {"iocsr_io.len", kShape},
    {"iocsr_io.is_write", kShape},
    {"tpr_access.is_write", kShape},
    {"dcr.dcrn", kShape},
    {"dcr.is_write", kShape},
    {"emulation_failure.insn_size", kShape},
    {"msr.index", kShape},
    {"riscv_csr.csr_num", kShape},
    {"memory_fault.gpa", kShape},
    {"memory_fault.size", kShape},
    {"arm_nisv.fault_ipa", kShape},
    {"arm_sea.gpa", kShape},
    {"s390_tsch.subchannel_id", kShape},
    {"s390_tsch.subchannel_nr", kShape},
    {"s390_stsi.addr", kShape},
    {"snp_req_certs.gpa", kShape},
    {"snp_req_certs.npages", kShape},
    {"tdx.get_quote.gpa", kShape},
    {"tdx.get_quote.size", kShape},
    {"internal.ndata", kShape},
    {"system_event.ndata", kShape},
    {"hyperv.u.synic.msr", kShape},
    {"hyperv.u.syndbg.msr", kShape},
    {"request_interrupt_window", kFact},
    {"immediate_exit", kFact},
    {"ready_for_interrupt_injection", kFact},
    {"hw.hardware_exit_reason", kFact},
    {"fail_entry.hardware_entry_failure_reason", kFact},
    {"fail_entry.cpu", kFact},
    {"ex.exception", kFact},
    {"hypercall.nr", kFact},
    {"hypercall.longmode", kFact},
    {"hypercall.flags", kShape},
    {"s390_reset_flags", kFact},
    {"s390_sieic.icptcode", kFact},
    {"s390_ucontrol.pgm_code", kFact},
    {"internal.suberror", kShape},
    {"emulation_failure.suberror", kShape},
    {"emulation_failure.ndata", kShape},
    {"emulation_failure.flags", kShape},
    {"papr_hcall.nr", kFact},
    {"s390_tsch.dequeued", kFact},
    {"system_event.type", kFact},
    {"system_event.flags", kShape},
    {"s390_stsi.ar", kFact},
    {"s390_stsi.fc", kFact},
    {"s390_stsi.sel1", kFact},
    {"s390_stsi.sel2", kFact},
    {"eoi.vector", kFact},
    {"hyperv.type", kShape},
    {"msr.error", kFact},
    {"msr.reason", kFact},
    {"xen.type", kFact},
    {"xen.u.hcall.longmode", kFact},
    {"xen.u.hcall.cpl", kFact},
    {"riscv_sbi.extension_id", kFact},
    {"riscv_sbi.function_id", kFact},
    {"notify.flags", kShape},
    {"memory_fault.flags", kShape},
    {"tdx.flags", kShape},
    {"tdx.nr", kShape},
    {"tdx.get_tdvmcall_info.leaf", kFact},
    {"arm_sea.flags", kShape},
    {"debug.arch.exception", kFact},
    {"debug.arch.type", kFact},
    {"if_flag", kRegister},
    {"cr8", kRegister},
    {"apic_base", kRegister},
    {"psw_mask", kRegister},
    {"psw_addr", kRegister},
    {"ex.error_code", kRegister},
    {"tpr_access.rip", kRegister},
    {"s390_sieic.ipa", kRegister},
    {"s390_sieic.ipb", kRegister},
    {"s390_ucontrol.trans_exc_code", kRegister},
    {"internal.data", kRegister},
    {"s390_tsch.ipb", kRegister},
    {"system_event.data", kRegister},
    {"arm_nisv.esr_iss", kRegister},
    {"arm_sea.esr", kRegister},
    {"arm_sea.gva", kRegister},
    {"debug.arch.pc", kRegister},
    {"debug.arch.dr6", kRegister},
    {"debug.arch.dr7", kRegister},
    {"debug.arch.hsr", kRegister},
    {"debug.arch.hsr_high", kRegister},
    {"debug.arch.far", kRegister},
    {"debug.arch.addr", kRegister},
    {"debug.arch.address", kRegister},
    {"debug.arch.status", kRegister},
    {"debug.arch.epc", kRegister},
    {"io.data", kPayload},
    {"mmio.data", kPayload},
    {"iocsr_io.data", kPayload},
    {"hypercall.args", kPayload},
    {"hypercall.ret", kPayload},
    {"dcr.data", kPayload},
    {"emulation_failure.insn_bytes", kPayload},
    {"osi.gprs", kPayload},
    {"papr_hcall.ret", kPayload},
    {"papr_hcall.args", kPayload},
    {"s390_tsch.io_int_parm", kPayload},
    {"s390_tsch.io_int_word", kPayload},
    {"epr.epr", kPayload},
    {"hyperv.u.hcall.input", kPayload},
    {"hyperv.u.hcall.result", kPayload},
    {"hyperv.u.hcall.params", kPayload},
    {"hyperv.u.syndbg.control", kPayload},
    {"hyperv.u.syndbg.status", kPayload},
    {"hyperv.u.syndbg.send_page", kPayload},
    {"hyperv.u.syndbg.recv_page", kPayload},
    {"hyperv.u.syndbg.pending_page", kPayload},
    {"msr.data", kPayload},
    {"xen.u.hcall.input", kPayload},
    {"xen.u.hcall.result", kPayload},
    {"xen.u.hcall.params", kPayload},
    {"riscv_sbi.args", kPayload},
    {"riscv_sbi.ret", kPayload},
    {"riscv_csr.new_value", kPayload},
    {"riscv_csr.write_mask", kPayload},
    {"riscv_csr.ret_value", kPayload},
    {"tdx.unknown.ret", kPayload},
    {"tdx.unknown.data", kPayload},
    {"tdx.get_quote.ret", kPayload},
    {"tdx.get_tdvmcall_info.ret", kPayload},
    {"tdx.get_tdvmcall_info.r11", kPayload},
    {"tdx.get_tdvmcall_info.r12", kPayload},
    {"tdx.get_tdvmcall_info.r13", kPayload},
    {"tdx.get_tdvmcall_info.r14", kPayload},
    {"tdx.setup_event_notify.ret", kPayload},
    {"tdx.setup_event_notify.vector", kPayload},
    {"snp_req_certs.ret", kPayload},
    {"hyperv.u.synic.control", kPayload},
    {"hyperv.u.synic.evt_page", kPayload},
    {"hyperv.u.synic.msg_page", kPayload},
};

// Calls whose argument is a number and not a pointer; include/uapi/linux/kvm.h, Linux 7.3. Of calls
// that take no argument a register is left over, and KVM_REINJECT_CONTROL takes a pointer though
// its number does not say so.
constexpr uint32_t kCallsOfANumber[] = {
    0xae01,  // KVM_CREATE_VM
    0xae03,  // KVM_CHECK_EXTENSION
    0xae41,  // KVM_CREATE_VCPU
    0xae44,  // KVM_SET_NR_MMU_PAGES
    0xae47,  // KVM_SET_TSS_ADDR
    0xae78,  // KVM_SET_BOOT_CPU_ID
    0xaea2,  // KVM_SET_TSC_KHZ
};

constexpr std::array<std::string_view, 4> kProfileNames = {"", "payload", "regs", "strict"};

}  // namespace

std::optional<RedactionProfile> parse_redaction(std::string_view name) {
  for (size_t i = 0; i < kProfileNames.size(); ++i)
    if (kProfileNames[i] == name) return static_cast<RedactionProfile>(i);
  return std::nullopt;
}

std::string_view to_string(RedactionProfile profile) {
  return kProfileNames[static_cast<size_t>(profile)];
}

std::optional<Sensitivity> sensitivity_of(std::string_view field) {
  static const auto* const kByName = [] {
    auto* rows = new std::unordered_map<std::string_view, Sensitivity>;
    for (const Row& row : kRows) rows->emplace(row.field, row.sensitivity);
    return rows;
  }();
  const auto found = kByName->find(field);
  return found == kByName->end() ? std::nullopt : std::optional(found->second);
}

Sensitivity sensitivity_of_argument(uint32_t request) {
  // powerpc and mips say "no direction" by a bit, all others by none;
  // arch/*/include/uapi/asm/ioctl.h
  constexpr uint32_t kNoDirection = 1u << 29;
  const auto known = std::ranges::find(kCallsOfANumber, request & ~kNoDirection);
  return known == std::end(kCallsOfANumber) ? Sensitivity::kHost : Sensitivity::kFact;
}

}  // namespace kvmtape
