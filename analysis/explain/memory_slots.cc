#include "analysis/explain/memory_slots.h"

#include "schema/base/byte_cursor.h"

namespace kvmtape {

void MemorySlots::set(const DecodeContext& context, std::span<const uint8_t> region) {
  constexpr uint32_t kReadOnly = 2;  // KVM_MEM_READONLY
  ByteCursor cursor(region, context.byte_order);
  const auto number = cursor.read<uint32_t>();
  const auto flags = cursor.read<uint32_t>();
  const auto guest_physical = cursor.read<uint64_t>();
  const auto bytes = cursor.read<uint64_t>();
  if (!cursor.ok()) return;
  if (bytes == 0) {
    slots_.erase(number);
  } else if (slots_.size() < kSlotsMax || slots_.contains(number)) {
    slots_[number] = {guest_physical, bytes, (flags & kReadOnly) != 0};
  } else {
    overflow_ = true;
  }
}

const MemorySlots::Slot* MemorySlots::find(uint64_t guest_physical) const {
  for (const auto& [number, slot] : slots_)
    if (guest_physical >= slot.guest_physical && guest_physical - slot.guest_physical < slot.bytes)
      return &slot;
  return nullptr;
}

}  // namespace kvmtape
