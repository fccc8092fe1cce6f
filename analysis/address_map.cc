#include "analysis/address_map.h"

#include <fmt/format.h>

#include <limits>
#include <string_view>

#include "analysis/session_context.h"

namespace kvmtape {
namespace {

struct KnownPlace {
  uint64_t base;
  uint64_t bytes;
  std::string_view name;
};
constexpr KnownPlace kX86Places[] = {
    {0xa0000, 0x20000, "VGA memory"},
    {0xfec00000, 0x1000, "I/O APIC"},  // IO_APIC_DEFAULT_PHYS_BASE, arch/x86/include/asm/apicdef.h
    {0xfed00000, 0x400, "HPET"},       // where chipsets and monitors put it; the ACPI table says
    {0xfed40000, 0x5000, "TPM"},       // TIS_MEM_BASE, drivers/char/tpm/tpm_tis.c
    {0xfee00000, 0x1000, "local APIC"},  // APIC_DEFAULT_PHYS_BASE, arch/x86/include/asm/apicdef.h
};

}  // namespace

AddressMap::AddressMap(TraceReader& reader) : architecture_(reader.session().architecture) {
  slots_ = MemorySlots(reader.session().byte_order);
  const RedactionProfile redaction = decode_context_of(reader.session()).redaction;
  // Of no vCPU: what is left are the session's own records.
  reader.rewind({.vcpus = {std::numeric_limits<uint32_t>::max()}});
  for (Item item; reader.next(item);) {
    if (item.kind != Item::Kind::kOther || item.side == nullptr) continue;
    if (const auto call = control_call_of(*item.side, redaction)) slots_.note(*call);
  }
}

AddressMap::Place AddressMap::find(uint64_t address) const {
  if (const MemorySlots::Slot* slot = slots_.find(address))
    return {fmt::format("{}slot {}", slot->read_only ? "read-only " : "", slot->number),
            slot->guest_physical};
  if (architecture_ == Architecture::kX86_64 || architecture_ == Architecture::kI386)
    for (const KnownPlace& place : kX86Places)
      if (address - place.base < place.bytes) return {std::string(place.name), place.base};
  return {};
}

std::string AddressMap::name_of(uint64_t address) const {
  const Place place = find(address);
  return place.name.empty() ? "" : fmt::format("{}+{:#x}", place.name, address - place.base);
}

std::string AddressMap::place_of(uint64_t address) const {
  constexpr unsigned kPageShift = 12;
  const Place place = find(address);
  return place.name.empty() ? fmt::format("{:#x}xxx", address >> kPageShift) : place.name;
}

}  // namespace kvmtape
