#include "replayer/arch_names/confidential.h"

#include <fmt/format.h>

namespace kvmtape {
namespace {

constexpr NamedValue kGhcbRequests[] = {
    {0x001, "GHCB_MSR_SEV_INFO_RESP"},     {0x002, "GHCB_MSR_SEV_INFO_REQ"},
    {0x004, "GHCB_MSR_CPUID_REQ"},         {0x005, "GHCB_MSR_CPUID_RESP"},
    {0x006, "GHCB_MSR_AP_RESET_HOLD_REQ"}, {0x007, "GHCB_MSR_AP_RESET_HOLD_RESP"},
    {0x010, "GHCB_MSR_PREF_GPA_REQ"},      {0x011, "GHCB_MSR_PREF_GPA_RESP"},
    {0x012, "GHCB_MSR_REG_GPA_REQ"},       {0x013, "GHCB_MSR_REG_GPA_RESP"},
    {0x014, "GHCB_MSR_PSC_REQ"},           {0x015, "GHCB_MSR_PSC_RESP"},
    {0x016, "GHCB_MSR_VMPL_REQ"},          {0x017, "GHCB_MSR_VMPL_RESP"},
    {0x080, "GHCB_MSR_HV_FT_REQ"},         {0x081, "GHCB_MSR_HV_FT_RESP"},
    {0x100, "GHCB_MSR_TERM_REQ"},
};
static_assert(strictly_rising(kGhcbRequests));
constexpr uint64_t kGhcbInfoMask = 0xfff;
constexpr uint64_t kGhcbTerminationRequest = 0x100;

constexpr std::string_view kSets[] = {"general", "Linux"};
constexpr std::string_view kGeneralReasons[] = {
    "termination request",
    "the SEV-ES protocol version is not supported",
    "the SEV-SNP features are not supported",
};
constexpr std::string_view kLinuxReasons[] = {
    "GHCB registration failed", "page state change failed",
    "PVALIDATE failed",         "guest is not at VMPL 0",
    "CPUID validation failed",  "CPUID failed in the hypervisor fallback",
    "secrets page failure",     "the secrets page names no SVSM",
    "the SVSM set VMPL to 0",   "the SVSM calling area is not page aligned",
};

constexpr NamedValue kTdvmcalls[] = {
    {0x10000, "TDVMCALL_GET_TD_VM_CALL_INFO"},
    {0x10001, "TDVMCALL_MAP_GPA"},
    {0x10002, "TDVMCALL_GET_QUOTE"},
    {0x10003, "TDVMCALL_REPORT_FATAL_ERROR"},
    {0x10004, "TDVMCALL_SETUP_EVENT_NOTIFY_INTERRUPT"},
};
static_assert(strictly_rising(kTdvmcalls));

// Positions in system_event.data.
enum Register : size_t {
  kRcx = 1,
  kRdx = 2,
  kRbx = 3,
  kRsi = 6,
  kRdi = 7,
  kR8 = 8,
  kR9 = 9,
  kR12 = 12,
  kR13 = 13,
  kR14 = 14,
  kR15 = 15,
  kRegisters = 16
};
constexpr Register kMessageOrder[] = {kR14, kR15, kRbx, kRdi, kRsi, kR8, kR9, kRdx};

std::string_view at(std::span<const std::string_view> names, size_t index) {
  return index < names.size() ? names[index] : std::string_view{};
}

// Eight bytes a register, the first in its low byte.
std::string message_of(std::span<const uint64_t> data) {
  std::string message;
  for (Register source : kMessageOrder) {
    if (((data[kRcx] >> source) & 1) == 0) continue;
    for (unsigned shift = 0; shift < 64; shift += 8) {
      const auto byte = static_cast<char>((data[source] >> shift) & 0xff);
      if (byte == '\0') return message;
      message += byte >= ' ' && byte <= '~' ? byte : '.';
    }
  }
  return message;
}

}  // namespace

GhcbTermination decode_ghcb_termination(uint64_t ghcb_msr) {
  GhcbTermination termination;
  termination.through_page = ghcb_msr != 0 && (ghcb_msr & kGhcbInfoMask) == 0;
  if ((ghcb_msr & kGhcbInfoMask) != kGhcbTerminationRequest) return termination;
  termination.is_request = true;
  termination.reason_set = static_cast<uint8_t>((ghcb_msr >> 12) & 0xf);
  termination.reason_code = static_cast<uint8_t>((ghcb_msr >> 16) & 0xff);
  termination.set_name = at(kSets, termination.reason_set);
  if (termination.reason_set == 0)
    termination.reason = at(kGeneralReasons, termination.reason_code);
  if (termination.reason_set == 1) termination.reason = at(kLinuxReasons, termination.reason_code);
  return termination;
}

std::string ghcb_termination_text(uint64_t ghcb_msr) {
  const GhcbTermination termination = decode_ghcb_termination(ghcb_msr);
  if (termination.through_page)
    return fmt::format(
        "guest requested termination through its GHCB page at {:#x}; the reason is in the host's "
        "kernel log",
        ghcb_msr);
  if (!termination.is_request)
    return fmt::format("GHCB MSR {:#x} is not a termination request", ghcb_msr);
  const std::string numbers =
      fmt::format("reason set {}, code {}", termination.reason_set, termination.reason_code);
  if (termination.set_name.empty()) return "guest requested termination: " + numbers;
  if (termination.reason.empty())
    return fmt::format("guest requested termination: {}, {}", termination.set_name, numbers);
  return fmt::format("guest requested termination: {}, {} ({})", termination.set_name,
                     termination.reason, numbers);
}

std::string_view ghcb_msr_request_name(uint64_t ghcb_msr) {
  return name_of(kGhcbRequests, ghcb_msr & kGhcbInfoMask);
}

TdxFatalError decode_tdx_fatal(std::span<const uint64_t> data) {
  TdxFatalError error;
  if (data.size() < kRegisters) return error;
  error.known = true;
  error.code = static_cast<uint32_t>(data[kR12] & 0xffffffff);
  error.extended_code = static_cast<uint32_t>((data[kR12] >> 32) & 0x7fffffff);
  error.has_address = (data[kR12] >> 63) != 0;
  if (error.has_address) error.address = data[kR13];
  error.message = message_of(data);
  return error;
}

std::string tdx_fatal_text(std::span<const uint64_t> data) {
  const TdxFatalError error = decode_tdx_fatal(data);
  if (!error.known) return "TDX guest reported a fatal error; its registers are not known";
  std::string text = fmt::format("TDX guest reported fatal error {:#x}", error.code);
  if (error.extended_code != 0) text += fmt::format(", extended code {:#x}", error.extended_code);
  if (!error.message.empty()) text += fmt::format(": {}", error.message);
  if (error.has_address) text += fmt::format(" (more at guest physical {:#x})", error.address);
  return text;
}

std::string_view tdvmcall_name(uint64_t leaf) { return name_of(kTdvmcalls, leaf); }

NamedValues all_tdvmcalls() { return kTdvmcalls; }
NamedValues all_ghcb_msr_requests() { return kGhcbRequests; }

}  // namespace kvmtape
