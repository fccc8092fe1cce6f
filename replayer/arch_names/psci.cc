#include "replayer/arch_names/psci.h"

#include <fmt/format.h>

#include <iterator>

namespace kvmtape {
namespace {

constexpr NamedValue kFunctions[] = {
    {0x80000000, "SMCCC_VERSION"},
    {0x80000001, "SMCCC_ARCH_FEATURES"},
    {0x80000002, "SMCCC_ARCH_SOC_ID"},
    {0x80003fff, "SMCCC_ARCH_WORKAROUND_3"},
    {0x80007fff, "SMCCC_ARCH_WORKAROUND_2"},
    {0x80008000, "SMCCC_ARCH_WORKAROUND_1"},
    {0x84000000, "PSCI_VERSION"},
    {0x84000001, "PSCI_CPU_SUSPEND"},
    {0x84000002, "PSCI_CPU_OFF"},
    {0x84000003, "PSCI_CPU_ON"},
    {0x84000004, "PSCI_AFFINITY_INFO"},
    {0x84000005, "PSCI_MIGRATE"},
    {0x84000006, "PSCI_MIGRATE_INFO_TYPE"},
    {0x84000007, "PSCI_MIGRATE_INFO_UP_CPU"},
    {0x84000008, "PSCI_SYSTEM_OFF"},
    {0x84000009, "PSCI_SYSTEM_RESET"},
    {0x8400000a, "PSCI_FEATURES"},
    {0x8400000b, "PSCI_CPU_FREEZE"},
    {0x8400000c, "PSCI_CPU_DEFAULT_SUSPEND"},
    {0x8400000d, "PSCI_NODE_HW_STATE"},
    {0x8400000e, "PSCI_SYSTEM_SUSPEND"},
    {0x8400000f, "PSCI_SET_SUSPEND_MODE"},
    {0x84000010, "PSCI_STAT_RESIDENCY"},
    {0x84000011, "PSCI_STAT_COUNT"},
    {0x84000012, "PSCI_SYSTEM_RESET2"},
    {0x84000013, "PSCI_MEM_PROTECT"},
    {0x84000014, "PSCI_MEM_PROTECT_CHECK_RANGE"},
    {0x84000015, "PSCI_SYSTEM_OFF2"},
    {0x84000016, "PSCI_CLEAN_INV_MEMREGION"},
    {0x84000017, "PSCI_CLEAN_INV_MEMREGION_ATTRIBUTES"},
    {0x84000050, "TRNG_VERSION"},
    {0x84000051, "TRNG_FEATURES"},
    {0x84000052, "TRNG_GET_UUID"},
    {0x84000053, "TRNG_RND"},
    {0x86000000, "VENDOR_HYP_KVM_FEATURES"},
    {0x86000001, "VENDOR_HYP_KVM_PTP"},
    {0x8600ff01, "VENDOR_HYP_CALL_UID"},
    {0x95c1ba5e, "PSCI_0_1_CPU_SUSPEND"},
    {0x95c1ba5f, "PSCI_0_1_CPU_OFF"},
    {0x95c1ba60, "PSCI_0_1_CPU_ON"},
    {0x95c1ba61, "PSCI_0_1_MIGRATE"},
    {0xc4000001, "PSCI_CPU_SUSPEND"},
    {0xc4000003, "PSCI_CPU_ON"},
    {0xc4000004, "PSCI_AFFINITY_INFO"},
    {0xc4000005, "PSCI_MIGRATE"},
    {0xc4000007, "PSCI_MIGRATE_INFO_UP_CPU"},
    {0xc400000c, "PSCI_CPU_DEFAULT_SUSPEND"},
    {0xc400000d, "PSCI_NODE_HW_STATE"},
    {0xc400000e, "PSCI_SYSTEM_SUSPEND"},
    {0xc4000010, "PSCI_STAT_RESIDENCY"},
    {0xc4000011, "PSCI_STAT_COUNT"},
    {0xc4000012, "PSCI_SYSTEM_RESET2"},
    {0xc4000014, "PSCI_MEM_PROTECT_CHECK_RANGE"},
    {0xc4000015, "PSCI_SYSTEM_OFF2"},
    {0xc4000016, "PSCI_CLEAN_INV_MEMREGION"},
    {0xc4000053, "TRNG_RND"},
    {0xc5000020, "PV_TIME_FEATURES"},
    {0xc5000021, "PV_TIME_ST"},
    {0xc6000002, "VENDOR_HYP_KVM_HYP_MEMINFO"},
    {0xc6000003, "VENDOR_HYP_KVM_MEM_SHARE"},
    {0xc6000004, "VENDOR_HYP_KVM_MEM_UNSHARE"},
    {0xc6000007, "VENDOR_HYP_KVM_MMIO_GUARD"},
};
static_assert(strictly_rising(kFunctions));

constexpr NamedValue kOwners[] = {
    {0, "Arm architecture"},
    {1, "CPU service"},
    {2, "SiP service"},
    {3, "OEM service"},
    {4, "standard secure service"},
    {5, "standard hypervisor service"},
    {6, "vendor hypervisor service"},
};
static_assert(strictly_rising(kOwners));
// SMCCC 1.3: the caller holds no live SVE state; not part of the function.
constexpr uint32_t kSveHint = 1u << 16;

constexpr uint32_t kTrustedApplicationFirst = 48;
constexpr uint32_t kTrustedOsFirst = 50;

// By -value: 0 is success, -1 not supported, ...
constexpr std::string_view kReturns[] = {
    "PSCI_RET_SUCCESS",          "PSCI_RET_NOT_SUPPORTED", "PSCI_RET_INVALID_PARAMS",
    "PSCI_RET_DENIED",           "PSCI_RET_ALREADY_ON",    "PSCI_RET_ON_PENDING",
    "PSCI_RET_INTERNAL_FAILURE", "PSCI_RET_NOT_PRESENT",   "PSCI_RET_DISABLED",
    "PSCI_RET_INVALID_ADDRESS",
};

std::string_view owner_name(uint32_t owner) {
  if (owner >= kTrustedOsFirst) return "trusted OS";
  if (owner >= kTrustedApplicationFirst) return "trusted application";
  return name_of(kOwners, owner);
}

}  // namespace

SmcccFunction decode_smccc(uint32_t function_id) {
  SmcccFunction function;
  function.id = function_id;
  function.name = name_of(kFunctions, function_id);
  if (function.name.empty()) function.name = name_of(kFunctions, function_id & ~kSveHint);
  function.fast = (function_id >> 31) != 0;
  function.is_64bit = ((function_id >> 30) & 1) != 0;
  function.owner = owner_name((function_id >> 24) & 0x3f);
  function.number = static_cast<uint16_t>(function_id & 0xffff);
  return function;
}

std::string smccc_text(uint32_t function_id) {
  const SmcccFunction function = decode_smccc(function_id);
  const std::string_view width = function.is_64bit ? "64-bit" : "32-bit";
  if (!function.name.empty()) return fmt::format("{} ({})", function.name, width);
  return fmt::format("{} call {:#x} of {}, {}", function.fast ? "fast" : "yielding",
                     function.number, function.owner.empty() ? "a reserved owner" : function.owner,
                     width);
}

std::string_view psci_return_name(int32_t value) {
  const int64_t index = -int64_t{value};
  if (index < 0 || index >= static_cast<int64_t>(std::size(kReturns))) return {};
  return kReturns[index];
}

NamedValues all_smccc_functions() { return kFunctions; }

}  // namespace kvmtape
