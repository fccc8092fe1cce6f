#include "analysis/address_map.h"

#include <fmt/format.h>

#include <limits>
#include <string_view>

#include "schema/abi/registry.h"
#include "schema/base/byte_cursor.h"
#include "schema/snapshot.h"

namespace kvmtape {
namespace {

constexpr size_t kSlotsMax = 2 * 32768;     // KVM_USER_MEM_SLOTS is below 32768, x86 has two spaces
constexpr uint32_t kMemReadOnly = 1u << 1;  // KVM_MEM_READONLY, include/uapi/linux/kvm.h

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
  const ByteOrder order = reader.session().byte_order;
  // Of no vCPU: what is left are the session's own records.
  reader.rewind({.vcpus = {std::numeric_limits<uint32_t>::max()}});
  for (Item item; reader.next(item);) {
    if (item.kind != Item::Kind::kOther || item.side == nullptr ||
        item.side->kind != RecordKind::kControlCall)
      continue;
    ByteCursor call(item.side->payload);
    call.skip(4);
    const std::string_view name = abi::ioctl_name(architecture_, call.read<uint32_t>());
    if (name != "KVM_SET_USER_MEMORY_REGION" && name != "KVM_SET_USER_MEMORY_REGION2") continue;
    call.skip(8 + 4 + 4);  // argument, vCPU, result
    const auto error = call.read<uint32_t>();
    const auto in_bytes = call.read<uint32_t>();
    call.skip(8);
    // struct kvm_userspace_memory_region, which the second call's begins with.
    ByteCursor region(call.take(in_bytes), order);
    const auto slot = region.read<uint32_t>();
    const auto flags = region.read<uint32_t>();
    const auto base = region.read<uint64_t>();
    const auto bytes = region.read<uint64_t>();
    if (error != 0 || !call.ok() || !region.ok()) continue;
    if (bytes == 0)
      slots_.erase(slot);
    else if (slots_.size() < kSlotsMax)
      slots_[slot] = {base, bytes, (flags & kMemReadOnly) != 0};
  }
}

std::string AddressMap::name_of(uint64_t address) const {
  for (const auto& [number, slot] : slots_)
    if (address - slot.base < slot.bytes)
      return fmt::format("{}slot {}+{:#x}", slot.read_only ? "read-only " : "", number,
                         address - slot.base);
  if (architecture_ == Architecture::kX86_64 || architecture_ == Architecture::kI386)
    for (const KnownPlace& place : kX86Places)
      if (address - place.base < place.bytes)
        return fmt::format("{}+{:#x}", place.name, address - place.base);
  return {};
}

}  // namespace kvmtape
