#include "recorder/drain/guest_memory.h"

#include <sys/uio.h>

#include <algorithm>

#include "schema/base/byte_cursor.h"
#include "schema/snapshot.h"

namespace kvmtape {
namespace {

// Requests and structs; include/uapi/linux/kvm.h, the second pair since 6.8.
constexpr uint32_t kCreateVm = 0xae01;
constexpr uint32_t kSetUserMemoryRegion = 0x4020ae46;
constexpr uint32_t kSetUserMemoryRegion2 = 0x40a0ae49;
constexpr size_t kRegionBytes = 32;  // which the second struct begins with
constexpr uint32_t kMemGuestMemfd = 1 << 2;
// Bits 16 to 31 of a slot are the address space; Documentation/virt/kvm/api.rst 4.35.
constexpr uint32_t kAddressSpaceShift = 16;

bool wraps(uint64_t begin, uint64_t bytes) { return bytes > ~uint64_t{0} - begin; }

}  // namespace

void GuestRegions::note_call(std::span<const uint8_t> payload) {
  ByteCursor cursor(payload);
  const auto descriptor = static_cast<DescriptorKind>(cursor.read<uint32_t>());
  const auto request = cursor.read<uint32_t>();
  cursor.read<uint64_t>();  // the argument
  cursor.read<uint32_t>();  // vCPU id
  const auto result = static_cast<int32_t>(cursor.read<uint32_t>());
  cursor.read<uint32_t>();  // errno
  const auto in_bytes = cursor.read<uint32_t>();
  if (!cursor.ok() || payload.size() < sizeof(ControlCallRecord) || result < 0) return;
  if (descriptor == DescriptorKind::kSystem && request == kCreateVm) ++vms_;
  if (descriptor != DescriptorKind::kVm ||
      (request != kSetUserMemoryRegion && request != kSetUserMemoryRegion2))
    return;
  const std::span<const uint8_t> in = payload.subspan(sizeof(ControlCallRecord));
  if (in_bytes >= kRegionBytes && in_bytes <= in.size())
    set(in.first(in_bytes), request == kSetUserMemoryRegion2);
}

void GuestRegions::set(std::span<const uint8_t> region, bool second_version) {
  ByteCursor cursor(region);
  const auto slot = cursor.read<uint32_t>();
  const auto flags = cursor.read<uint32_t>();
  const Region told{cursor.read<uint64_t>(), cursor.read<uint64_t>(), cursor.read<uint64_t>()};
  slots_.erase(slot);  // changed or deleted
  const bool private_pages = second_version && (flags & kMemGuestMemfd) != 0;
  if (told.bytes == 0 || private_pages || slot >> kAddressSpaceShift != 0 ||
      wraps(told.guest_physical, told.bytes) || wraps(told.host, told.bytes))
    return;
  slots_.emplace(slot, told);
}

std::optional<GuestRegions::Place> GuestRegions::find(uint64_t guest_physical) const {
  if (vms_ > 1) return std::nullopt;
  for (const auto& [slot, region] : slots_) {
    const uint64_t offset = guest_physical - region.guest_physical;
    if (guest_physical >= region.guest_physical && offset < region.bytes)
      return Place{region.host + offset, region.bytes - offset};
  }
  return std::nullopt;
}

size_t MonitorMemory::read(uint64_t address, std::span<uint8_t> bytes) {
  size_t done = 0;
  while (done < bytes.size()) {
    const auto place = regions_.find(address + done);
    if (!place) break;
    const size_t wanted = std::min<uint64_t>(place->bytes, bytes.size() - done);
    const iovec to{bytes.data() + done, wanted};
    const iovec from{reinterpret_cast<void*>(place->host), wanted};
    const ssize_t got = ::process_vm_readv(pid_, &to, 1, &from, 1, 0);
    if (got <= 0) break;
    done += static_cast<size_t>(got);
  }
  return done;
}

}  // namespace kvmtape
