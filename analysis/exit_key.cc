#include "analysis/exit_key.h"

#include <fmt/format.h>

#include <string_view>

#include "analysis/decoded_exit.h"
#include "replayer/arch_names/esr.h"
#include "replayer/arch_names/hypercalls.h"
#include "replayer/arch_names/msr_names.h"
#include "replayer/arch_names/papr.h"
#include "replayer/arch_names/psci.h"

namespace kvmtape {
namespace {

struct KeyField {
  uint32_t reason;  // include/uapi/linux/kvm.h
  std::string_view field;
  std::string_view word;  // before the number
  KeyKind kind = KeyKind::kOther;
};
constexpr unsigned kEcShift = 26;  // ESR_ELx_EC_SHIFT, arch/arm64/include/asm/esr.h
constexpr KeyField kKeyFields[] = {
    {2, "io.port", "port", KeyKind::kPort},
    {3, "hypercall.nr", "hypercall", KeyKind::kHypercall},
    {6, "mmio.phys_addr", "mmio", KeyKind::kAddress},
    {15, "dcr.dcrn", "dcr"},
    {19, "papr_hcall.nr", "papr", KeyKind::kHypercall},
    {24, "system_event.type", "type"},
    {26, "eoi.vector", "vector"},
    {27, "hyperv.type", "type"},
    {28, "arm_nisv.fault_ipa", "ipa", KeyKind::kAddress},
    {29, "msr.index", "msr", KeyKind::kMsr},
    {30, "msr.index", "msr", KeyKind::kMsr},
    {34, "xen.u.hcall.input", "hypercall", KeyKind::kHypercall},
    {35, "riscv_sbi.extension_id", "sbi", KeyKind::kHypercall},
    {36, "riscv_csr.csr_num", "csr"},
    {38, "iocsr_io.phys_addr", "iocsr", KeyKind::kAddress},
};

const KeyField* key_field(uint32_t reason) {
  for (const KeyField& row : kKeyFields)
    if (row.reason == reason) return &row;
  return nullptr;
}

std::string_view key_name(Architecture architecture, uint32_t reason, uint64_t key) {
  switch (reason) {
    case 3:
      if (architecture == Architecture::kAarch64)
        return decode_smccc(static_cast<uint32_t>(key)).name;
      return kvm_hypercall_name(key);
    case 19:
      return papr_hcall_name(key);
    case 27:
      return hyperv_exit_type_name(static_cast<uint32_t>(key));
    case 29:
    case 30:
      return msr_name(static_cast<uint32_t>(key));
    case 34:
      return xen_hypercall_name(key);
    case 38:
      return iocsr_name(key);
    default:
      return {};
  }
}

}  // namespace

KeyKind key_kind(uint32_t reason) {
  const KeyField* row = key_field(reason);
  return row == nullptr ? KeyKind::kEc : row->kind;
}

bool key_is_guest_address(uint32_t reason) { return reason == 6 || reason == 28; }

std::optional<uint64_t> exit_key(const Exit& exit) {
  if (exit.reason_validity != Validity::kValid) return std::nullopt;
  const KeyField* row = key_field(exit.reason);
  if (row == nullptr) {
    if (!exit.has_esr) return std::nullopt;
    const Esr esr = esr_of(exit);
    return esr.has_class ? std::optional<uint64_t>(esr.ec) : std::nullopt;
  }
  const Field* field = exit.find(row->field);
  if (field == nullptr || field->validity != Validity::kValid) return std::nullopt;
  return field->value;
}

std::string exit_key_text(Architecture architecture, uint32_t reason, uint64_t key) {
  const KeyField* row = key_field(reason);
  const std::string_view name = row == nullptr ? decode_esr(key << kEcShift, false).ec_name
                                               : key_name(architecture, reason, key);
  std::string text = fmt::format("{} {:#x}", row == nullptr ? "ec" : row->word, key);
  if (!name.empty()) text += fmt::format(" {}", name);
  return text;
}

}  // namespace kvmtape
