#include "replayer/arch_names/sbi.h"

#include <fmt/format.h>

#include <iterator>
#include <span>

namespace kvmtape {
namespace {

constexpr NamedValue kExtensions[] = {
    {0x00, "0.1 SET_TIMER"},
    {0x01, "0.1 CONSOLE_PUTCHAR"},
    {0x02, "0.1 CONSOLE_GETCHAR"},
    {0x03, "0.1 CLEAR_IPI"},
    {0x04, "0.1 SEND_IPI"},
    {0x05, "0.1 REMOTE_FENCE_I"},
    {0x06, "0.1 REMOTE_SFENCE_VMA"},
    {0x07, "0.1 REMOTE_SFENCE_VMA_ASID"},
    {0x08, "0.1 SHUTDOWN"},
    {0x10, "BASE"},
    {0x48534d, "HSM"},
    {0x504d55, "PMU"},
    {0x535345, "SSE"},
    {0x535441, "STA"},
    {0x735049, "IPI"},
    {0x43505043, "CPPC"},
    {0x4442434e, "DBCN"},
    {0x44425452, "DBTR"},
    {0x46574654, "FWFT"},
    {0x4d505859, "MPXY"},
    {0x4e41434c, "NACL"},
    {0x52464e43, "RFENCE"},
    {0x53525354, "SRST"},
    {0x53555350, "SUSP"},
    {0x54494d45, "TIME"},
};
static_assert(strictly_rising(kExtensions));

// Extension names that end in their own number ranges.
constexpr uint64_t kExperimentalFirst = 0x08000000;
constexpr uint64_t kVendorFirst = 0x09000000;
constexpr uint64_t kFirmwareFirst = 0x0a000000;
constexpr uint64_t kFirmwareLast = 0x0affffff;

// Functions of an extension, by number from 0.
constexpr std::string_view kBase[] = {"GET_SPEC_VERSION", "GET_IMP_ID",    "GET_IMP_VERSION",
                                      "PROBE_EXT",        "GET_MVENDORID", "GET_MARCHID",
                                      "GET_MIMPID"};
constexpr std::string_view kTime[] = {"SET_TIMER"};
constexpr std::string_view kIpi[] = {"SEND_IPI"};
constexpr std::string_view kRfence[] = {"REMOTE_FENCE_I",         "REMOTE_SFENCE_VMA",
                                        "REMOTE_SFENCE_VMA_ASID", "REMOTE_HFENCE_GVMA_VMID",
                                        "REMOTE_HFENCE_GVMA",     "REMOTE_HFENCE_VVMA_ASID",
                                        "REMOTE_HFENCE_VVMA"};
constexpr std::string_view kHsm[] = {"HART_START", "HART_STOP", "HART_STATUS", "HART_SUSPEND"};
constexpr std::string_view kSrst[] = {"SYSTEM_RESET"};
constexpr std::string_view kSusp[] = {"SYSTEM_SUSPEND"};
constexpr std::string_view kPmu[] = {"NUM_COUNTERS",       "COUNTER_GET_INFO",  "COUNTER_CFG_MATCH",
                                     "COUNTER_START",      "COUNTER_STOP",      "COUNTER_FW_READ",
                                     "COUNTER_FW_READ_HI", "SNAPSHOT_SET_SHMEM"};
constexpr std::string_view kDbcn[] = {"CONSOLE_WRITE", "CONSOLE_READ", "CONSOLE_WRITE_BYTE"};
constexpr std::string_view kSta[] = {"STEAL_TIME_SET_SHMEM"};
constexpr std::string_view kFwft[] = {"SET", "GET"};

std::span<const std::string_view> functions_of(uint64_t extension_id) {
  switch (extension_id) {
    case 0x10:
      return kBase;
    case 0x48534d:
      return kHsm;
    case 0x504d55:
      return kPmu;
    case 0x535441:
      return kSta;
    case 0x735049:
      return kIpi;
    case 0x4442434e:
      return kDbcn;
    case 0x46574654:
      return kFwft;
    case 0x52464e43:
      return kRfence;
    case 0x53525354:
      return kSrst;
    case 0x53555350:
      return kSusp;
    case 0x54494d45:
      return kTime;
    default:
      return {};
  }
}

std::string_view range_name(uint64_t extension_id) {
  if (extension_id < kExperimentalFirst || extension_id > kFirmwareLast) return {};
  if (extension_id < kVendorFirst) return "experimental";
  if (extension_id < kFirmwareFirst) return "vendor";
  return "firmware";
}

// By -error.
constexpr std::string_view kErrors[] = {"SBI_SUCCESS",
                                        "SBI_ERR_FAILURE",
                                        "SBI_ERR_NOT_SUPPORTED",
                                        "SBI_ERR_INVALID_PARAM",
                                        "SBI_ERR_DENIED",
                                        "SBI_ERR_INVALID_ADDRESS",
                                        "SBI_ERR_ALREADY_AVAILABLE",
                                        "SBI_ERR_ALREADY_STARTED",
                                        "SBI_ERR_ALREADY_STOPPED",
                                        "SBI_ERR_NO_SHMEM",
                                        "SBI_ERR_INVALID_STATE",
                                        "SBI_ERR_BAD_RANGE",
                                        "SBI_ERR_TIMEOUT",
                                        "SBI_ERR_IO",
                                        "SBI_ERR_DENIED_LOCKED"};

constexpr NamedValue kResetTypes[] = {{0, "shutdown"}, {1, "cold reboot"}, {2, "warm reboot"}};
constexpr NamedValue kResetReasons[] = {{0, "no reason"}, {1, "system failure"}};
static_assert(strictly_rising(kResetTypes) && strictly_rising(kResetReasons));

}  // namespace

std::string_view sbi_extension_name(uint64_t extension_id) {
  return name_of(kExtensions, extension_id);
}

std::string_view sbi_function_name(uint64_t extension_id, uint64_t function_id) {
  const std::span<const std::string_view> functions = functions_of(extension_id);
  return function_id < functions.size() ? functions[function_id] : std::string_view{};
}

std::string sbi_text(uint64_t extension_id, uint64_t function_id) {
  constexpr uint64_t kLegacyLast = 0x0f;  // SBI 0.1 has no function ids
  const std::string_view range = range_name(extension_id);
  std::string text = range.empty()
                         ? "SBI " + name_or_hex(sbi_extension_name(extension_id), extension_id)
                         : fmt::format("SBI {} extension {:#x}", range, extension_id);
  if (extension_id <= kLegacyLast) return text;
  const std::string_view function = sbi_function_name(extension_id, function_id);
  return text + " " +
         (function.empty() ? fmt::format("function {:#x}", function_id) : std::string(function));
}

std::string_view sbi_error_name(int64_t error) {
  const auto count = static_cast<int64_t>(std::size(kErrors));
  return error <= 0 && error > -count ? kErrors[-error] : std::string_view{};
}

std::string_view sbi_reset_type_name(uint64_t type) { return name_of(kResetTypes, type); }
std::string_view sbi_reset_reason_name(uint64_t reason) { return name_of(kResetReasons, reason); }

NamedValues all_sbi_extensions() { return kExtensions; }

}  // namespace kvmtape
