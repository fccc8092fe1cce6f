#include "analysis/diff/slot_offsets.h"

#include "schema/snapshot.h"

namespace kvmtape {
namespace {

// include/uapi/linux/kvm.h of Linux 6.18: the same numbers on every architecture but ppc64 and
// mips64, whose directions are encoded otherwise; there, addresses stay as they are.
constexpr uint32_t kSetUserMemoryRegion = 0x4020ae46;
constexpr uint32_t kSetUserMemoryRegion2 = 0x40a0ae49;

}  // namespace

void SlotOffsets::note_call(std::span<const uint8_t> payload) {
  ByteCursor call(payload);
  call.skip(4);  // descriptor
  const auto request = call.read<uint32_t>();
  call.skip(12);  // argument, vcpu_id
  const auto result = static_cast<int32_t>(call.read<uint32_t>());
  call.skip(4);  // error
  const auto in_bytes = call.read<uint32_t>();
  call.skip(8);  // out_bytes, reserved
  if (!call.ok() || result != 0) return;
  if (request != kSetUserMemoryRegion && request != kSetUserMemoryRegion2) return;
  ByteCursor in(call.take(in_bytes), order_);
  const auto number = in.read<uint32_t>();
  in.skip(4);  // flags
  const auto guest = in.read<uint64_t>();
  const auto bytes = in.read<uint64_t>();
  if (!in.ok()) return;
  std::erase_if(slots_, [&](const auto& entry) { return entry.second.number == number; });
  if (bytes != 0 && slots_.size() < kSlotsMax) slots_[guest] = {number, bytes};
}

std::pair<uint64_t, uint64_t> SlotOffsets::relative(uint64_t guest_physical) const {
  auto above = slots_.upper_bound(guest_physical);
  if (above == slots_.begin()) return {0, guest_physical};
  const auto& [guest, slot] = *--above;
  if (guest_physical - guest >= slot.bytes) return {0, guest_physical};
  return {uint64_t{slot.number} + 1, guest_physical - guest};
}

}  // namespace kvmtape
