#include "analysis/exit_key.h"

#include <fmt/format.h>

#include <string_view>

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
};
constexpr KeyField kKeyFields[] = {
    {2, "io.port", "port"},
    {3, "hypercall.nr", "hypercall"},
    {6, "mmio.phys_addr", "mmio"},
    {15, "dcr.dcrn", "dcr"},
    {19, "papr_hcall.nr", "papr"},
    {24, "system_event.type", "type"},
    {26, "eoi.vector", "vector"},
    {27, "hyperv.type", "type"},
    {28, "arm_nisv.fault_ipa", "ipa"},
    {29, "msr.index", "msr"},
    {30, "msr.index", "msr"},
    {34, "xen.u.hcall.input", "hypercall"},
    {35, "riscv_sbi.extension_id", "sbi"},
    {36, "riscv_csr.csr_num", "csr"},
    {38, "iocsr_io.phys_addr", "iocsr"},
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

std::optional<uint64_t> exit_key(const Exit& exit) {
  const KeyField* row = key_field(exit.reason);
  if (row == nullptr || exit.reason_validity != Validity::kValid) return std::nullopt;
  const Field* field = exit.find(row->field);
  if (field == nullptr || field->validity != Validity::kValid) return std::nullopt;
  return field->value;
}

std::string exit_key_text(Architecture architecture, uint32_t reason, uint64_t key) {
  const KeyField* row = key_field(reason);
  const std::string_view name = key_name(architecture, reason, key);
  std::string text = fmt::format("{} {:#x}", row == nullptr ? "key" : row->word, key);
  if (!name.empty()) text += fmt::format(" {}", name);
  return text;
}

}  // namespace kvmtape
