#include "replayer/arch_names/system_event.h"

#include <fmt/format.h>

#include "replayer/arch_names/confidential.h"
#include "replayer/arch_names/sbi.h"

namespace kvmtape {
namespace {

enum Type : uint32_t {
  kShutdown = 1,
  kReset = 2,
  kSevTerm = 6,
  kTdxFatal = 7,
};

constexpr NamedValue kTypes[] = {
    {kShutdown, "KVM_SYSTEM_EVENT_SHUTDOWN"},
    {kReset, "KVM_SYSTEM_EVENT_RESET"},
    {3, "KVM_SYSTEM_EVENT_CRASH"},
    {4, "KVM_SYSTEM_EVENT_WAKEUP"},
    {5, "KVM_SYSTEM_EVENT_SUSPEND"},
    {kSevTerm, "KVM_SYSTEM_EVENT_SEV_TERM"},
    {kTdxFatal, "KVM_SYSTEM_EVENT_TDX_FATAL"},
};
static_assert(strictly_rising(kTypes));

constexpr NamedValue kWords[] = {{kShutdown, "shutdown"},
                                 {kReset, "reset"},
                                 {3, "crash"},
                                 {4, "wakeup"},
                                 {5, "suspend"},
                                 {kSevTerm, "SEV termination"},
                                 {kTdxFatal, "TDX fatal error"}};
static_assert(strictly_rising(kWords));

}  // namespace

std::string_view system_event_type_name(uint32_t type) { return name_of(kTypes, type); }

std::string_view arm64_system_event_flag_name(uint32_t type, uint64_t flags) {
  if (flags != 1) return {};
  if (type == kReset) return "KVM_SYSTEM_EVENT_RESET_FLAG_PSCI_RESET2";
  if (type == kShutdown) return "KVM_SYSTEM_EVENT_SHUTDOWN_FLAG_PSCI_OFF2";
  return {};
}

std::string system_event_text(Architecture architecture, uint32_t type,
                              std::span<const uint64_t> data) {
  if (type == kSevTerm && !data.empty()) return ghcb_termination_text(data[0]);
  if (type == kTdxFatal) return tdx_fatal_text(data);
  const std::string_view word = name_of(kWords, type);
  std::string text = word.empty() ? fmt::format("system event {:#x}", type) : std::string(word);
  if ((type != kShutdown && type != kReset) || data.empty()) return text;
  if (architecture == Architecture::kAarch64 && data[0] != 0) {
    const bool known = !arm64_system_event_flag_name(type, data[0]).empty();
    text += !known           ? fmt::format(" (flags {:#x})", data[0])
            : type == kReset ? " (PSCI SYSTEM_RESET2)"
                             : " (PSCI SYSTEM_OFF2)";
  }
  if (architecture == Architecture::kRiscv64)
    text += ", SRST reason: " + name_or_hex(sbi_reset_reason_name(data[0]), data[0]);
  return text;
}

NamedValues all_system_event_types() { return kTypes; }

}  // namespace kvmtape
