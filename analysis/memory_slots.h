// Which guest physical addresses are memory, as far as the recorded KVM_SET_USER_MEMORY_REGION
// calls of one VM say. Nothing recorded: nothing is known, and nobody may conclude anything. A
// control call does not say which VM it was made on: the one that was made last is meant. One
// thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <utility>

#include "analysis/control_call.h"
#include "schema/base/byte_cursor.h"

namespace kvmtape {

class MemorySlots {
 public:
  struct Slot {
    uint32_t number = 0;  // address space in the upper half
    uint64_t guest_physical = 0;
    uint64_t bytes = 0;
    bool read_only = false;
  };

  explicit MemorySlots(ByteOrder order = ByteOrder::kLittle) : order_(order) {}

  // A new VM has no slots. Calls of other kinds, and refused ones, change nothing.
  void note(const ControlCall& call);

  // Another number after each call that changed something.
  uint64_t version() const { return version_; }
  bool known() const { return !slots_.empty() && !overflow_; }
  // nullptr: no memory there. Of two address spaces (SMM has its own) the first one's.
  const Slot* find(uint64_t guest_physical) const;
  bool is_outside(uint64_t guest_physical) const {
    return known() && find(guest_physical) == nullptr;
  }
  size_t count() const { return slots_.size(); }
  // The memory that was there until the monitor removed or moved it; nullptr: none that is known.
  const Slot* removed(uint64_t guest_physical) const;

 private:
  static constexpr size_t kSlotsMax = 2 * 32768;  // below 32768 a space, of which x86 has two
  using Place = std::pair<uint32_t, uint64_t>;    // address space, guest address

  ByteOrder order_;
  std::map<Place, Slot> slots_;  // as they were set last; those of a space do not overlap
  std::map<uint32_t, Place> by_number_;
  std::deque<Slot> removed_;  // the last ones
  bool overflow_ = false;
  uint64_t version_ = 0;
};

}  // namespace kvmtape
