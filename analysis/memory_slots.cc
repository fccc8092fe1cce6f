#include "analysis/memory_slots.h"

namespace kvmtape {
namespace {

constexpr uint32_t kMemReadOnly = 1u << 1;  // KVM_MEM_READONLY, include/uapi/linux/kvm.h
constexpr size_t kRemovedMax = 16;
constexpr uint32_t kAddressSpaceShift = 16;  // Documentation/virt/kvm/api.rst 4.35
constexpr uint32_t kAddressSpaces = 2;       // KVM_MAX_NR_ADDRESS_SPACES on x86, Linux 6.12

}  // namespace

void MemorySlots::note(const ControlCall& call) {
  if (call.result < 0 || call.error != 0) return;
  if (call.number() == kCallCreateVm && call.descriptor == DescriptorKind::kSystem) {
    const uint64_t version = version_ + 1;
    *this = MemorySlots(order_);
    version_ = version;
  }
  if (call.number() != kCallSetUserMemoryRegion && call.number() != kCallSetUserMemoryRegion2)
    return;
  // struct kvm_userspace_memory_region, which the second call's begins with.
  ByteCursor region(call.in, order_);
  Slot slot;
  slot.number = region.read<uint32_t>();
  slot.read_only = (region.read<uint32_t>() & kMemReadOnly) != 0;
  slot.guest_physical = region.read<uint64_t>();
  slot.bytes = region.read<uint64_t>();
  if (!region.ok()) return;
  ++version_;
  if (const auto known = by_number_.find(slot.number); known != by_number_.end()) {
    if (removed_.size() == kRemovedMax) removed_.pop_front();
    removed_.push_back(slots_.at(known->second));
    slots_.erase(known->second);
    by_number_.erase(known);
  }
  if (slot.bytes == 0) return;
  const Place place{slot.number >> kAddressSpaceShift, slot.guest_physical};
  // Two at one place are not KVM's doing, but a damaged recording's.
  if (slots_.size() == kSlotsMax || !slots_.try_emplace(place, slot).second)
    overflow_ = true;
  else
    by_number_[slot.number] = place;
}

const MemorySlots::Slot* MemorySlots::removed(uint64_t guest_physical) const {
  if (find(guest_physical) != nullptr) return nullptr;
  for (auto slot = removed_.rbegin(); slot != removed_.rend(); ++slot)
    if (guest_physical >= slot->guest_physical &&
        guest_physical - slot->guest_physical < slot->bytes)
      return &*slot;
  return nullptr;
}

const MemorySlots::Slot* MemorySlots::find(uint64_t guest_physical) const {
  for (uint32_t space = 0; space < kAddressSpaces; ++space) {
    auto above = slots_.upper_bound({space, guest_physical});
    if (above == slots_.begin()) continue;
    const auto& [place, slot] = *--above;
    if (place.first == space && guest_physical - slot.guest_physical < slot.bytes) return &slot;
  }
  return nullptr;
}

}  // namespace kvmtape
