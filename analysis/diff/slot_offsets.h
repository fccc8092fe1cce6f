// The memory slots of a recording's VM as its control calls set them, so that an address in guest
// memory can be told by slot and offset: two monitors may lay the same guest out differently. One
// thread. Where control calls were not recorded there are none, and addresses stay as they are.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <span>
#include <utility>

#include "schema/base/byte_cursor.h"

namespace kvmtape {

class SlotOffsets {
 public:
  explicit SlotOffsets(ByteOrder order) : order_(order) {}

  // The payload of a control call; calls of other kinds, and refused ones, change nothing.
  void note_call(std::span<const uint8_t> payload);
  // Slot + 1 and offset in it; 0 and the address where no slot is.
  std::pair<uint64_t, uint64_t> relative(uint64_t guest_physical) const;

 private:
  struct Slot {
    uint32_t number;
    uint64_t bytes;
  };
  static constexpr size_t kSlotsMax = 65536;  // KVM has 32764 for an address space

  ByteOrder order_;
  std::map<uint64_t, Slot> slots_;  // by guest address
};

}  // namespace kvmtape
