// How confidential guests of x86 say why they stop: the GHCB MSR's termination request (SEV-ES,
// SEV-SNP) and TDX's fatal error report; and the names of TDVMCALL leaves. Pure functions, any
// thread, any input; the _text functions allocate.
//
// Sources: AMD 56421 (GHCB specification) section 2.3.1; arch/x86/include/asm/sev-common.h of
// Linux 6.12; Intel TDX Guest-Hypervisor Communication Interface, TDG.VP.VMCALL<ReportFatalError>;
// arch/x86/kvm/vmx/tdx.c and asm/shared/tdx.h of Linux 6.16 and later.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "replayer/arch_names/named_value.h"

namespace kvmtape {

// system_event.data[0] of KVM_SYSTEM_EVENT_SEV_TERM: the value the guest wrote to the GHCB MSR, a
// request or the address of the page that holds it (SVM_VMGEXIT_TERM_REQUEST in sev.c of 6.12).
struct GhcbTermination {
  bool through_page = false;  // it is an address, and KVM logged the reason that the page gave
  bool is_request = false;    // bits 11:0 are 0x100; false: nothing below means anything
  uint8_t reason_set = 0;     // bits 15:12
  uint8_t reason_code = 0;    // bits 23:16
  std::string_view set_name;  // "general", "Linux"; empty: another guest's
  std::string_view reason;    // "guest is not at VMPL 0"; empty: not known
};
GhcbTermination decode_ghcb_termination(uint64_t ghcb_msr);
// "guest requested termination: general, the SEV-ES protocol version is not supported (reason set
// 0, code 1)"
std::string ghcb_termination_text(uint64_t ghcb_msr);
// Bits 11:0 of the GHCB MSR: "GHCB_MSR_TERM_REQ"; empty: not known, or a page address.
std::string_view ghcb_msr_request_name(uint64_t ghcb_msr);

// system_event.data of KVM_SYSTEM_EVENT_TDX_FATAL, 16 registers in the order of x86 encoding (rax,
// rcx, rdx, rbx, rsp, rbp, rsi, rdi, r8 to r15): r12 holds the error code (bits 31:0; 62:32 the
// guest's own; bit 63: r13 is the address of a page with more), and those of r14, r15, rbx, rdi,
// rsi, r8, r9, rdx that the mask in rcx names (bit n: register n) up to 64 bytes of text.
struct TdxFatalError {
  bool known = false;  // false: fewer than 16 registers
  uint32_t code = 0;   // 0 is what Linux gives for a panic
  uint32_t extended_code = 0;
  bool has_address = false;
  uint64_t address = 0;
  std::string message;  // printable ASCII, others as '.'; up to the first zero byte
};
TdxFatalError decode_tdx_fatal(std::span<const uint64_t> data);
std::string tdx_fatal_text(std::span<const uint64_t> data);

// tdx.nr of KVM_EXIT_TDX: "TDVMCALL_GET_QUOTE"; empty: not known.
std::string_view tdvmcall_name(uint64_t leaf);

NamedValues all_tdvmcalls();
NamedValues all_ghcb_msr_requests();

}  // namespace kvmtape
