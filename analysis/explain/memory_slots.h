// Which guest physical addresses are memory, as far as the recorded KVM_SET_USER_MEMORY_REGION
// calls of one VM say. Nothing recorded: nothing is known, and no rule may conclude anything. One
// thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <span>

#include "replayer/decode_context.h"

namespace kvmtape {

class MemorySlots {
 public:
  struct Slot {
    uint64_t guest_physical = 0;
    uint64_t bytes = 0;
    bool read_only = false;
  };
  // The payload of KVM_SET_USER_MEMORY_REGION or ..._REGION2: they begin alike.
  void set(const DecodeContext& context, std::span<const uint8_t> region);

  bool known() const { return !slots_.empty() && !overflow_; }
  const Slot* find(uint64_t guest_physical) const;  // nullptr: no memory there
  bool is_outside(uint64_t guest_physical) const {
    return known() && find(guest_physical) == nullptr;
  }
  size_t count() const { return slots_.size(); }

 private:
  static constexpr size_t kSlotsMax = 32768;  // KVM_MEM_SLOTS_NUM is 32767 on x86
  std::map<uint32_t, Slot> slots_;            // by slot number, address space in the upper half
  bool overflow_ = false;
};

}  // namespace kvmtape
