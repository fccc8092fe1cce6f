#include "analysis/exit_key.h"

#include <fmt/format.h>

#include "analysis/decoded_exit.h"
#include "replayer/arch_names/esr.h"
#include "replayer/arch_names/hypercalls.h"
#include "replayer/arch_names/msr_names.h"
#include "replayer/arch_names/papr.h"
#include "replayer/arch_names/psci.h"
#include "schema/abi/exit_numbers.h"

namespace kvmtape {
namespace {

struct KeyField {
  uint32_t reason;
  std::string_view field;
  std::string_view word;  // before the number
  KeyKind kind = KeyKind::kOther;
};
constexpr unsigned kEcShift = 26;  // ESR_ELx_EC_SHIFT, arch/arm64/include/asm/esr.h
constexpr KeyField kKeyFields[] = {
    {kExitIo, "io.port", "port", KeyKind::kPort},
    {kExitHypercall, "hypercall.nr", "hypercall", KeyKind::kHypercall},
    {kExitMmio, "mmio.phys_addr", "mmio", KeyKind::kAddress},
    {kExitDcr, "dcr.dcrn", "dcr"},
    {kExitPaprHcall, "papr_hcall.nr", "papr", KeyKind::kHypercall},
    {kExitSystemEvent, "system_event.type", "type"},
    {kExitIoapicEoi, "eoi.vector", "vector"},
    {kExitHyperv, "hyperv.type", "type"},
    {kExitArmNisv, "arm_nisv.fault_ipa", "ipa", KeyKind::kAddress},
    {kExitX86Rdmsr, "msr.index", "msr", KeyKind::kMsr},
    {kExitX86Wrmsr, "msr.index", "msr", KeyKind::kMsr},
    {kExitXen, "xen.u.hcall.input", "hypercall", KeyKind::kHypercall},
    {kExitRiscvSbi, "riscv_sbi.extension_id", "sbi", KeyKind::kHypercall},
    {kExitRiscvCsr, "riscv_csr.csr_num", "csr"},
    {kExitLoongarchIocsr, "iocsr_io.phys_addr", "iocsr", KeyKind::kAddress},
};

const KeyField* key_field(uint32_t reason) {
  for (const KeyField& row : kKeyFields)
    if (row.reason == reason) return &row;
  return nullptr;
}

std::string_view key_name(Architecture architecture, uint32_t reason, uint64_t key) {
  switch (reason) {
    case kExitHypercall:
      if (architecture == Architecture::kAarch64)
        return decode_smccc(static_cast<uint32_t>(key)).name;
      return kvm_hypercall_name(key);
    case kExitPaprHcall:
      return papr_hcall_name(key);
    case kExitHyperv:
      return hyperv_exit_type_name(static_cast<uint32_t>(key));
    case kExitX86Rdmsr:
    case kExitX86Wrmsr:
      return msr_name(static_cast<uint32_t>(key));
    case kExitXen:
      return xen_hypercall_name(key);
    case kExitLoongarchIocsr:
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

std::string_view key_word(uint32_t reason) {
  const KeyField* row = key_field(reason);
  return row == nullptr ? "ec" : row->word;
}

bool key_is_guest_address(uint32_t reason) { return reason == kExitMmio || reason == kExitArmNisv; }

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
  std::string text = fmt::format("{} {:#x}", key_word(reason), key);
  if (!name.empty()) text += fmt::format(" {}", name);
  return text;
}

}  // namespace kvmtape
